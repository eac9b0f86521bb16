"""Lab 1, attention that remembers: its exercises in the order of the notebook."""

from labs.course.exercise import Guess, LabSpec, Written

from .absorb import ABSORB
from .attend import ATTEND
from .decode_step import DECODE_STEP
from .expand import EXPAND
from .rotate_pairs import ROTATE_PAIRS

LAB = LabSpec(
    "lab01",
    "Attention that remembers",
    "latent",
    (
        ROTATE_PAIRS,
        EXPAND,
        ATTEND,
        Guess("loss_without_positions", "How much are positions worth?", minutes=3, points=1, low=0, high=8),
        DECODE_STEP,
        ABSORB,
        Written(
            "positions",
            "Two sentences on positions",
            minutes=7,
            points=3,
            rubric="1 point: names the guess and what came out, as numbers of the student's own run. 1 point: says what the "
            "model still has when every position is 0 (content, and the mask: a token sees only what came before it). 1 point: "
            "says what it has lost (order and distance of the tokens it sees), or why a model trained without positions could "
            "do better than this one, which learned to rely on them.",
        ),
    ),
)
