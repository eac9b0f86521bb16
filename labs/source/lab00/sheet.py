"""Lab 0, for the instructor: notes for the room, and sample answers (made up, with the numbers that the lab computes)."""

from labs.course.sheet import Sample, Sheet

SHEET = Sheet(
    notes={
        "heads_doubled": "Take a show of hands: below 5, to 20, to 50, above. Do not comment",
        "total_parameters": "Who is stuck after ten minutes compares block by block with `km.count_parameters(km.K2).blocks`",
        "active_parameters": "Say once, at the board, that three conventions are in use and that the version names its own",
        "cache_size": "Have somebody read the three sizes aloud, and ask which of them grew with 128 heads",
        "two_changes": "The prediction is written before the cell below it is run; come back to the show of hands",
    },
    samples={
        "two_changes": (
            Sample(
                0,
                "A: stored grows by 0.5 %, active grows by 16.0 %.\n"
                "B: stored grows by 98.9 %, active grows by 0.5 %.\n"
                "I ran the cell and these are the numbers.",
                "Numbers alone, copied after the run: no reason, and no gap to speak of.",
            ),
            Sample(
                1,
                "A: stored grows by 2 %, active grows by 40 %, because every token goes through every head.\n"
                "B: stored grows by 100 %, active grows by 0 %, because a token still uses 8 experts.\n\n"
                "I was wrong about the heads and nearly right about the experts.",
                "The reason says who uses what, and may be off in size. The sentence on the gap names no number and no cause.",
            ),
            Sample(
                2,
                "A: stored grows by 1 %, active grows by 30 %, because every token uses every head and attention looked "
                "large.\n"
                "B: stored grows by 100 %, active grows by 0 %, because a token uses 8 experts however many there are.\n\n"
                "Doubling the heads gave 16.0 % instead of my 30 %: I had taken attention for most of the active weights, and "
                "the nine experts of 60 layers outweigh it. Doubling the experts gave 0.5 % active instead of 0, because the "
                "router has a row for every expert and every token uses all of it.",
                "Both predictions have a reason, both gaps have numbers and a cause that is true.",
            ),
        )
    },
)
