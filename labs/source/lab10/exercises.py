"""Lab 10, objective and verifier: its exercises in the order of the notebook."""

from labs.course.exercise import Guess, LabSpec, Written

from .advantage import CENTRED
from .budget import BUDGET
from .objective import OBJECTIVE
from .verifier import VERIFIER

LAB = LabSpec(
    "lab10",
    "Objective and verifier",
    "rewards",
    (
        VERIFIER,
        CENTRED,
        OBJECTIVE,
        BUDGET,
        Guess("climbed", "How far will it climb?", minutes=3, points=1, low=0, high=128),
        Written(
            "climb",
            "Your own task, and two sentences on the gap",
            minutes=27,
            points=4,
            rubric="1 point: the student's own task has a gold answer that scores 1, a plausible wrong one that scores 0, and "
            "differs from the lab's in more than a number. 1 point: names the guess and what came out, right of 128 before and "
            "after, as the student's own output has them; a number that does not stand in that output earns nothing, nor "
            "does a guess that was locked after the run. 1 point: says what moved besides the reward (length, groups or the "
            "answers themselves), from the output. 1 point: names what one seed and 128 problems cannot say, or reads the "
            "interval.",
        ),
    ),
)
