"""Lab 7, kernels: its exercises in the order of the notebook."""

from labs.course.exercise import Guess, LabSpec, Written

from .attention_with_maxima import ATTENTION_WITH_MAXIMA
from .masked_add import MASKED_ADD
from .online_attention import ONLINE_ATTENTION
from .rms_norm import RMS_NORM
from .tile_product import TILE_PRODUCT
from .traffic import TRAFFIC

LAB = LabSpec(
    "lab07",
    "Kernels",
    "kernels",
    (
        MASKED_ADD,
        RMS_NORM,
        TILE_PRODUCT,
        ONLINE_ATTENTION,
        ATTENTION_WITH_MAXIMA,
        Guess("kilobytes", "Predict the traffic", minutes=3, points=1, low=0, high=100_000),
        TRAFFIC,
        Written(
            "gap",
            "Two sentences on the gap",
            minutes=4,
            points=3,
            rubric="1 point: names the guess and what came out, in kB of the student's own output. 1 point: says where most of "
            "the bytes come from (keys and values, read again by every tile of queries), from the student's own numbers. "
            "1 point: says what the guess had left out or counted twice, with its size; or, where it was right, which change "
            "of tile or length would change the number most, and by how much.",
        ),
    ),
)
