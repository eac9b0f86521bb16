"""Lab 0: its exercises in the order of the notebook."""

from labs.course.exercise import Guess, LabSpec, Written

from .active import ACTIVE
from .cache import CACHE
from .total import TOTAL

LAB = LabSpec(
    name="lab00",
    title="Count a trillion",
    chapter="glance",
    exercises=(
        Guess("heads_doubled", "Lock a guess", minutes=5, points=1, low=0, high=100),
        TOTAL,
        ACTIVE,
        CACHE,
        Written(
            "two_changes",
            "Predict, then compute",
            minutes=5,
            points=2,
            rubric=(
                "1 point: a prediction of both growths of the active count, in per cent, and a reason that names who uses what "
                "(every token uses every head; a token uses a fixed number of experts). It need not be right. "
                "1 point: two sentences that set the computed numbers (heads doubled: +16.0 % active, +0.5 % stored; experts "
                "doubled: +0.5 % active, +98.9 % stored) beside the prediction and say where the gap comes from, for instance "
                "that the router grows with the experts and is used whole. No point for the numbers alone."
            ),
        ),
    ),
)
