"""Lab 5, write the test that kills it: its exercises in the order of the notebook."""

from labs.course.exercise import Guess, LabSpec, Written

from .diagnose import DIAGNOSE
from .suite import SUITE
from .tests_of_clip import KILLS_SHARED, ONE_FACTOR
from .tests_of_signs import KILLS_NEGATIVE, MASKED

LAB = LabSpec(
    "lab05",
    "Write the test that kills it",
    "museum",
    (
        DIAGNOSE,
        ONE_FACTOR,
        KILLS_SHARED,
        KILLS_NEGATIVE,
        MASKED,
        SUITE,
        Guess("caught", "How many will your suite catch?", minutes=2, points=1, low=0, high=14),
        Written(
            "gap",
            "Two sentences on the gap",
            minutes=8,
            points=3,
            rubric="1 point: names the guess and how many of the fourteen were caught, as numbers of the student's own output. "
            "1 point: names one piece whose loss curve stays in the healthy band (before-mask, absolute, one-for-all, "
            "clamped-ratio, shared-key, rope-root, values-too, copy), and what data shows it or why the suite missed it. "
            "1 point: says what the guess had left out of account; or, where it was right, what would have spoken against it.",
        ),
    ),
)
