"""Lab 6, say it ten ways: its exercises in the order of the notebook."""

from labs.course.exercise import Guess, LabSpec, Written

from .accuracy import ACCURACY
from .budget import BUDGET
from .chunks import CHUNKS
from .faithful import FAITHFUL
from .landing import LANDING
from .spikes import SPIKES

LAB = LabSpec(
    "lab06",
    "Say it ten ways",
    "rephrase",
    (
        CHUNKS,
        FAITHFUL,
        BUDGET,
        ACCURACY,
        Guess("other_words", "How many will ten versions know?", minutes=3, points=1, low=0, high=64),
        Written(
            "gap",
            "Two sentences on the gap",
            minutes=9,
            points=3,
            rubric="1 point: names the guess and what came out, right of 64 for both students, as numbers of the student's own "
            "output. 1 point: sets the training losses beside it and says which student knows more by which of the two "
            "measures, "
            "without contradicting the output. 1 point: reads the intervals (do they overlap?), or names what one seed "
            "and so few "
            "updates cannot say. No point for a rule that one run does not carry.",
        ),
        SPIKES,
        LANDING,
    ),
)
