"""Lab 2, route and balance: its exercises in the order of the notebook."""

from labs.course.exercise import Guess, LabSpec, Written

from .bias import BIAS
from .dispatch import DISPATCH
from .groups import GROUPS
from .load import LOAD_ROW
from .router import ROUTER

LAB = LabSpec(
    "lab02",
    "Route and balance",
    "routing",
    (
        ROUTER,
        GROUPS,
        DISPATCH,
        BIAS,
        LOAD_ROW,
        Guess("busiest", "How busy will the busiest expert be?", minutes=3, points=1, low=1, high=8),
        Written(
            "load_plot",
            "Train at your own bias speed, and explain the load",
            minutes=14,
            points=4,
            rubric="1 point: both speeds are named, with max/mean at the start and at the end of each run, as numbers of the "
            "student's own log. 1 point: says that the loads of a layer add up to k times tokens (2 x 1,024 in an update, "
            "40,960 in a row of the table) and what the mean of 16 experts therefore is. 1 point: explains the slow run by "
            "what a bias can have moved in that many updates (updates x speed), and the own run by the size of its steps "
            "(where single updates are less even than all 20 together, the load swings). 1 point: says what the balance "
            "cost or did not cost in loss, and does not claim more than one seed shows. "
            "No point for a sentence that the student's own log contradicts.",
        ),
    ),
)
