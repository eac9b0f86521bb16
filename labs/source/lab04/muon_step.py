"""One Muon update of one matrix."""

from __future__ import annotations

import torch

from kimi_mini.labs import Case
from labs.course.exercise import Coding, Mistake, Variant
from labs.course.twist import twist

SOLUTION = '''
import math

import torch

import kimi_mini as km


def muon_step(weight_AB, grad_AB, momentum_AB, lr, weight_decay):
    """One update of one matrix by Muon (Moonlight report, 2.2; K2 report, Algorithm 1, lines 2-4).

    weight_AB, grad_AB, momentum_AB   [A, B]; momentum_AB is that of the update before

        M <- mu M + G                                 mu = 0.95
        O  = NewtonSchulz(mu M + G), five steps       Nesterov: one step ahead of the new M
        W <- W - lr * (0.2 sqrt(max(A, B)) O + weight_decay W)

    Returns (new weight, new M). For NewtonSchulz take km.kernels.newton_schulz(x_AB, steps=5).
    """
    rows, columns = weight_AB.shape
    momentum_AB = 0.95 * momentum_AB + grad_AB
    ahead_AB = 0.95 * momentum_AB + grad_AB
    ortho_AB = km.kernels.newton_schulz(ahead_AB, steps=5)
    size = 0.2 * math.sqrt(max(rows, columns))
    update_AB = size * ortho_AB
    decay_AB = weight_decay * weight_AB
    return weight_AB - lr * (update_AB + decay_AB), momentum_AB
'''

PACKAGE = """
import kimi_mini as km


def muon_step(weight_AB, grad_AB, momentum_AB, lr, weight_decay):
    update_AB, momentum_AB = km.optim.muon_update(grad_AB, momentum_AB)
    return weight_AB - lr * (update_AB + weight_decay * weight_AB), momentum_AB
"""


def cases(seed: int) -> tuple[Case, ...]:
    """Momentum under way, for wide, tall and square matrices; the first update; A is even."""
    gen = torch.Generator().manual_seed(seed)

    def case(name: str, rows: int, columns: int, lr: float, decay: float, started: float = 1.0) -> Case:
        w_AB, g_AB, m_AB = torch.randn(3, rows, columns, generator=gen, dtype=torch.float64)
        return Case(name, (w_AB, g_AB, started * m_AB, lr, decay))

    return (
        case("a wide matrix", 4, 9, 0.1, 0.1),
        case("a tall matrix", 10, 3, 0.05, 0.5),
        case("a square matrix, no decay", 6, 6, 0.2, 0.0),
        case("the first update", 4, 5, 0.1, 0.2, started=0.0),
    )


PRACTICE = Variant(
    "the report's",
    SOLUTION,
    cases,
    (
        Mistake(
            "no Nesterov",
            "ahead_AB = 0.95 * momentum_AB + grad_AB",
            "ahead_AB = momentum_AB",
            "Newton-Schulz was given M itself. Nesterov looks one step ahead: give it mu M + G, with the new M.",
        ),
        Mistake(
            "averaged momentum",
            "    momentum_AB = 0.95 * momentum_AB + grad_AB",
            "    momentum_AB = 0.95 * momentum_AB + 0.05 * grad_AB",
            "Here momentum is a sum, mu M + G, and not an average: the gradient comes in whole.",
        ),
        Mistake(
            "averaged momentum, no Nesterov",
            "    momentum_AB = 0.95 * momentum_AB + grad_AB\n    ahead_AB = 0.95 * momentum_AB + grad_AB",
            "    momentum_AB = 0.95 * momentum_AB + 0.05 * grad_AB\n    ahead_AB = momentum_AB",
            "This is Adam's momentum, an average. Here it is a sum, mu M + G, and Newton-Schulz gets mu M + G once more.",
        ),
        Mistake(
            "root of max(1, A/B)",
            "update_AB = size",
            "update_AB = math.sqrt(max(1, rows / columns))",
            "sqrt(max(1, A/B)) is the factor of an earlier Muon. Moonlight and K2 take 0.2 sqrt(max(A, B)).",
        ),
        Mistake(
            "no factor for the shape",
            "update_AB = size * ortho_AB",
            "update_AB = ortho_AB",
            "The factor 0.2 sqrt(max(A, B)) is missing: the update's size then depends on the shape of the matrix.",
        ),
        Mistake(
            "decay times the shaped rate",
            "decay_AB = weight_decay",
            "decay_AB = size * weight_decay",
            "The shape's factor belongs to the update alone; the decay goes with the plain learning rate.",
        ),
        Mistake(
            "entrywise sign",
            "update_AB = size * ortho_AB",
            "update_AB = size * ahead_AB.sign()",
            "msign is a sign of the matrix's singular values, not of its entries: that is what Newton-Schulz computes.",
        ),
        Mistake(
            "the look ahead kept as momentum",
            "(update_AB + decay_AB), momentum_AB",
            "(update_AB + decay_AB), ahead_AB",
            "You returned mu M + G as the momentum. Only Newton-Schulz looks ahead; what is kept is M.",
        ),
    ),
)

MUON_STEP = Coding(
    "muon_step",
    "A Muon step",
    minutes=18,
    difficulty=2,
    points=4,
    practice=PRACTICE,
    package=PACKAGE,
    twists=(
        twist(
            PRACTICE,
            "Polyak average",
            "Momentum is an average, M <- 0.9 M + 0.1 G, and there is no Nesterov: Newton-Schulz gets M itself.",
            (
                "M <- mu M + G                                 mu = 0.95\n",
                "M <- mu M + (1 - mu) G                        mu = 0.9\n",
            ),
            (
                "O  = NewtonSchulz(mu M + G), five steps       Nesterov: one step ahead of the new M",
                "O  = NewtonSchulz(M), five steps              no Nesterov",
            ),
            ("    momentum_AB = 0.95 * momentum_AB + grad_AB", "    momentum_AB = 0.9 * momentum_AB + 0.1 * grad_AB"),
            ("ahead_AB = 0.95 * momentum_AB + grad_AB", "ahead_AB = momentum_AB"),
            besides=("the look ahead kept as momentum",),
            also=(
                Mistake(
                    "a sum",
                    "0.9 * momentum_AB + 0.1 * grad_AB",
                    "0.9 * momentum_AB + grad_AB",
                    "The momentum is a sum. In your version it is an average: the gradient comes in with 1 - mu.",
                ),
                Mistake(
                    "Nesterov kept",
                    "ahead_AB = momentum_AB",
                    "ahead_AB = 0.9 * momentum_AB + 0.1 * grad_AB",
                    "Newton-Schulz still looks one step ahead. In your version it gets M itself.",
                ),
            ),
        ),
        twist(
            PRACTICE,
            "measured size",
            "The update is scaled by measuring it, so that its RMS, the root of its mean square, is exactly 0.2.",
            (
                "W <- W - lr * (0.2 sqrt(max(A, B)) O + weight_decay W)",
                "W <- W - lr * (0.2 O / RMS(O) + weight_decay W)     RMS(O): root of the mean of the squares of O's entries",
            ),
            (
                "size = 0.2 * math.sqrt(max(rows, columns))",
                "size = 0.2 / ortho_AB.square().mean().sqrt()",
            ),
        ),
        twist(
            PRACTICE,
            "two heads",
            "The upper and the lower half of the rows belong to two heads: each half goes through Newton-Schulz on its own, "
            "and the factor is that of a half, 0.2 sqrt(max(A/2, B)).",
            (
                "that of the update before",
                "that of the update before;\n        A is even: the rows of two heads stand one above the other",
            ),
            (
                "O  = NewtonSchulz(mu M + G), five steps       Nesterov: one step ahead of the new M",
                "O  = NewtonSchulz of each half of the rows of mu M + G on its own, five steps",
            ),
            ("0.2 sqrt(max(A, B)) O", "0.2 sqrt(max(A/2, B)) O"),
            (
                "ortho_AB = km.kernels.newton_schulz(ahead_AB, steps=5)",
                "ortho_AB = torch.cat([km.kernels.newton_schulz(half, steps=5) for half in ahead_AB.chunk(2)])",
            ),
            ("math.sqrt(max(rows, columns))", "math.sqrt(max(rows // 2, columns))"),
        ),
        twist(
            PRACTICE,
            "cautious decay",
            "An entry of the weight decays only where the update has the same sign as it, so moves it towards 0 as well.",
            (
                "weight_decay W)\n",
                "weight_decay W'),\n        where W' is W with 0 at every entry whose sign is not that of O's entry\n",
            ),
            ("weight_decay * weight_AB", "weight_decay * torch.where(weight_AB * update_AB > 0, weight_AB, 0.0)"),
        ),
    ),
)
