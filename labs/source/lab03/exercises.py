"""Lab 3, two bets on a budget: its exercises in the order of the notebook."""

from labs.course.exercise import Guess, LabSpec, Written

from .band import LAW_BAND
from .flops import FLOPS
from .heads import HEADS
from .saved import TIMES_SAVED
from .shape import RECOMMEND

LAB = LabSpec(
    "lab03",
    "Two bets on a budget",
    "bets",
    (
        FLOPS,
        LAW_BAND,
        Guess("factor", "How many FLOPs will 24 experts save?", minutes=3, points=1, low=0.5, high=5),
        TIMES_SAVED,
        HEADS,
        RECOMMEND,
        Written(
            "recommendation",
            "Recommend, with its interval",
            minutes=5,
            points=3,
            rubric="1 point: names the shape that the student's own last cell chose, and the memory that ruled the others "
            "out, weights and cache apart. 1 point: gives the gain with its interval, from the student's own output, and "
            "says whether 0 is inside. 1 point: names one thing that these small runs cannot say about a large model (the "
            "size of the factor, for instance, or what seeds share). No point for a claim that the interval does not carry.",
        ),
    ),
)
