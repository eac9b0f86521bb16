"""Lab 6, for the instructor: notes for the room, and sample answers (made up)."""

from labs.course.sheet import Sample, Sheet

SHEET = Sheet(
    notes={
        "rewrite_in_chunks": "Who is she? Read the third sentence of the story alone, before anybody writes",
        "faithful": "Collect wrong rewritings at the board first; which of them would a check of numbers alone let pass?",
        "reading_list": "Ten versions once against one version once: let the room say what is unfair about it",
        "measured": "Ask who may look at the exam before the checkpoint is chosen. Nobody",
        "other_words": "Nobody runs the students before the guess is locked. Take a show of hands",
        "gap": "Two or three sentences about the student's own output",
        "find_spikes": "Let somebody draw a mean of twenty over one spike of height seven",
        "land": "What must come along? Weights, momentum, the place in the text",
    },
    samples={
        "gap": (
            Sample(
                1,
                "I guessed 20, and ten knew 44 and one knew 37.\nSo ten versions are better, as the report says.",
                "Guess and outcome are there. No losses, no intervals, and a rule from one run.",
            ),
            Sample(
                2,
                "I guessed 20, and ten knew 44 and one knew 37.\n"
                "One had the lower training loss, 0.05 against 0.36, and knew less in other words: by the loss I would have "
                "chosen the wrong student.\nTen versions teach better.",
                "The losses are set beside the exam and read well. The intervals are not looked at.",
            ),
            Sample(
                3,
                "I guessed 20, and ten knew 44 and one knew 37.\n"
                "One had the lower training loss, 0.05 against 0.36, and knew less in other words: by the loss I would have "
                "chosen the wrong student.\n"
                "But 37 is 46 % to 69 % and 44 is 56 % to 79 %, which overlap, so with one seed I cannot say that ten is "
                "better in other words; with a clause in front it is clear.",
                "Numbers, losses, and intervals that are read: the third sentence claims no more than they carry.",
            ),
        )
    },
)
