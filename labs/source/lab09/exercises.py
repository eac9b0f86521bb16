"""Lab 9, build a tool, judge a run: its exercises in the order of the notebook."""

from labs.course.exercise import Guess, LabSpec, Written

from .calls import CALLS
from .comparing import COMPARE
from .judging import JUDGE
from .mask import MASK
from .tool import TOOL

LAB = LabSpec(
    "lab09",
    "Build a tool, judge a run",
    "trajectories",
    (
        TOOL,
        CALLS,
        MASK,
        JUDGE,
        COMPARE,
        Guess("honest", "How many refusals will be told?", minutes=3, points=1, low=0, high=12),
        Written(
            "gap",
            "Two sentences on the gap",
            minutes=7,
            points=3,
            rubric="1 point: names the guess and what came out, for filtered and unfiltered, seed by seed, as numbers of the "
            "student's own output. 1 point: says what a single seed would have shown, and that it could have been another "
            "story, without contradicting the output. 1 point: names one thing that the difference does not say (other tools, "
            "free answers in place of two given ones, a judge that errs). No point for a rule that three seeds do not carry.",
        ),
    ),
)
