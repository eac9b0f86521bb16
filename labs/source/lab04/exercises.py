"""Lab 4, Muon and the clip: its exercises in the order of the notebook."""

from labs.course.exercise import Guess, LabSpec, Written

from .explode import EXPLODE
from .max_logits import MAX_LOGITS
from .muon_names import MUON_NAMES
from .muon_step import MUON_STEP
from .newton_schulz import NEWTON_SCHULZ
from .qk_clip import QK_CLIP

LAB = LabSpec(
    "lab04",
    "Muon and the clip",
    "muonclip",
    (
        NEWTON_SCHULZ,
        MUON_STEP,
        MUON_NAMES,
        MAX_LOGITS,
        QK_CLIP,
        Guess("heads_beyond_100", "How many heads will run away?", minutes=3, points=1, low=0, high=24),
        EXPLODE,
        Written(
            "gap",
            "Two sentences on the gap",
            minutes=7,
            points=3,
            rubric="1 point: names the guess and what came out, as numbers of the student's own run. 1 point: says where the "
            "heads that ran away are (whole layers, or single heads), and this agrees with the run's own table. 1 point: says "
            "what the guess had left out of account, not only that it was wrong; or, where it was right, what would have "
            "spoken against it.",
        ),
    ),
)
