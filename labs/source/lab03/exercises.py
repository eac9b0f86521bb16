"""Lab 3, two bets on a budget: its exercises in the order of the notebook."""

from labs.course.exercise import LabSpec

from .flops import FLOPS
from .heads import HEADS
from .shape import RECOMMEND

LAB = LabSpec("lab03", "Two bets on a budget", "bets", (FLOPS, HEADS, RECOMMEND))
