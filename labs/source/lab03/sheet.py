"""Lab 3, for the instructor: notes for the room, and sample answers (made up)."""

from labs.course.sheet import Sample, Sheet

SHEET = Sheet(
    notes={
        "training_flops": "Ask for the three factors before anybody writes: 2, 2 and 3 of what? The runs start after this part",
        "law_band": "The longest part. Draw a resample on the board with three names for the seeds, one of them twice",
        "factor": "Nobody runs part 4 before the guess is locked. Take a show of hands: above or below 1",
        "times_saved": "Two curves on the board: one arrow down, one arrow across. Which one does somebody pay for?",
        "heads_doubled": "Have somebody say what the cache depends on, then why FLOPs do not just double",
        "recommend": "Which experts must be in memory? All: let the room find the token that needs the last one",
        "recommendation": "The text is about the student's own output; 0 inside the interval is a result too",
    },
    samples={
        "recommendation": (
            Sample(
                1,
                "I recommend 96 experts because the loss is the lowest and they fit into 288 GB.\n"
                "So more experts are better, as in the report.",
                "Shape and memory are there, but weights and caches are not apart; no interval, and a rule from one run.",
            ),
            Sample(
                2,
                "I recommend 96 experts: 192 need 508 GB for their weights alone, and four GPUs have 320 GB of which 288 may "
                "be used; the caches of 8 users add 2 GB, which rules nothing out.\n"
                "The gain over 32 experts is 0.011, from -0.02 to 0.042, so it is a gain of 0.011.",
                "Memory is taken apart well. The interval is given and then not read: 0 is inside.",
            ),
            Sample(
                3,
                "I recommend 96 experts: 192 need 508 GB for their weights alone, and four GPUs have 320 GB of which 288 may "
                "be used; the caches of 8 users add 2 GB, which rules nothing out.\n"
                "The gain over 32 experts is 0.011, from -0.02 to 0.042: 0 is inside, so three seeds do not tell them apart, "
                "and I would take the smaller one if memory were short.\n"
                "My runs saw 80 thousand tokens; how large the factor is where the report measured it they cannot say.",
                "Memory apart, the interval read, and a limit named that is one.",
            ),
        )
    },
)
