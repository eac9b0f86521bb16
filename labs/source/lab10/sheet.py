"""Lab 10, for the instructor: notes for the room, and sample answers (made up)."""

from labs.course.sheet import Sample, Sheet

SHEET = Sheet(
    notes={
        "verify": "Before anybody writes: each invents one wrong answer that a careless verifier lets pass; swap them",
        "centred": "All eight right: what is learned? Let the room say it before the formula does",
        "objective": "Nobody may write code before the gradient of one answer stands on paper",
        "budget_and_ptx": "Why not take the penalty off every score? The mean takes it back",
        "climbed": "Nobody runs the climb before the guess is locked. Take a show of hands",
        "climb": "The lab's task is a start; whoever is early changes the wording, the numbers, or what counts as right",
    },
    samples={
        "climb": (
            Sample(
                1,
                "My task makes a target out of two numbers up to 12.\nI guessed 120 and it got better, so RL works.",
                "A task of its own with a gold answer that the cell checked. No number of the run, nothing beside the reward.",
            ),
            Sample(
                2,
                "My task asks for a difference only.\n"
                "I guessed 110 of 128; it went from 52 to 88, so I was too hopeful.\nIt can do more with more steps.",
                "Task, guess and outcome, as the output has them. The rest is hoped, not read.",
            ),
            Sample(
                4,
                "My task asks for a difference only; the gold answer 9-4 scored 1 and 4-9 scored 0.\n"
                "I guessed 110 of 128; it went from 52 (33 % to 49 %) to 88 (60 % to 76 %), and the intervals do not overlap.\n"
                "The divergence had reached 1.9 nats an answer, and the answers lost their spaces.\n"
                "It is one seed: another might have ended ten higher or lower.",
                "Everything is read off the output, and the last sentence claims no more than it carries.",
            ),
        )
    },
)
