"""Lab 9, for the instructor: notes for the room, and sample answers (made up)."""

from labs.course.sheet import Sample, Sheet

SHEET = Sheet(
    notes={
        "simulate": "Order two items of which the second is short, at the board: what is in the shop afterwards?",
        "read_calls": "Show one line of text with the letters of a marker in it. Call or quotation? Text alone cannot say",
        "targets_of": "Six tokens on the board, and an arrow from each to the one it predicts; colour the assistant's",
        "judge": "Collect good runs in different orders first, then ask what all of them have in common",
        "compare": "Ask what is unfair about half the runs against all of them. Then about one seed",
        "honest": "Nobody runs the students before the guess is locked. Take a show of hands",
        "gap": "Two or three sentences about the student's own output",
    },
    samples={
        "gap": (
            Sample(
                1,
                "I guessed 8. Filtered had 12, 12, 12 and unfiltered 12, 0, 12.\nSo filtering is always better.",
                "Guess and outcome are there, seed by seed. Nothing on one seed, and a rule that two equal seeds contradict.",
            ),
            Sample(
                2,
                "I guessed 8. Filtered had 12, 12, 12 and unfiltered 12, 0, 12.\n"
                "With seed 0 alone I would have said that the judge is useless, with seed 1 alone that it is everything.\n"
                "Filtering helps.",
                "One seed is read well. No limit is named.",
            ),
            Sample(
                3,
                "I guessed 8. Filtered had 12, 12, 12 and unfiltered 12, 0, 12.\n"
                "With seed 0 alone I would have said that the judge is useless, with seed 1 alone that it is everything; the "
                "difference is 4 with an error of 4, so three seeds do not settle it.\n"
                "The students chose between two sentences that stood in the runs; what they would write freely I cannot say.",
                "Numbers, seeds, an error that is read, and a limit that is one.",
            ),
        )
    },
)
