"""Lab 11, catch the hacker: its exercises in the order of the notebook."""

from labs.course.exercise import Guess, LabSpec, Written

from .defend import DEFEND
from .hack import HACK
from .loop import LOOP
from .pairwise import PAIRWISE
from .ranks import RANKS

LAB = LabSpec(
    "lab11",
    "Catch the hacker",
    "critic",
    (
        PAIRWISE,
        RANKS,
        HACK,
        LOOP,
        DEFEND,
        Guess("frozen_praise", "How much praise will a frozen critic breed?", minutes=3, points=1, low=0, high=100),
        Written(
            "gap",
            "Two sentences on the gap",
            minutes=11,
            points=3,
            rubric="1 point: names the guess and what came out, share of praise and truth of the last step for the "
            "frozen critic, "
            "as numbers of the student's own output. 1 point: sets the critic's score beside the truth for at least two of the "
            "three runs and says in which they part, without contradicting the output. 1 point: says what the closed "
            "loop or the "
            "rule did not do (whatever it left unpunished), or what a toy with twelve answers cannot show about K2.",
        ),
    ),
)
