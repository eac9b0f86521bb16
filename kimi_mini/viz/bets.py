"""The figures of the chapter *Two bets*: recorded trunks of `runs.bets`, and what a shape costs, by arithmetic."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..accounting import count_parameters
from ..checks import require
from ..config import ModelConfig
from ..presets import K2
from . import still
from .bets_figures import REPORT_HEADS, REPORT_SAVED, curves, head_study, savings
from .bets_runs import USUAL, Shape, Shapes, common_range, load_shapes, saved
from .glance import config_fields
from .stage import Stage, stage

__all__ = [
    "CONVENTIONS", "REPORT_HEADS", "REPORT_SAVED", "common_range", "curves", "desk", "doubling", "extra_work", "head_study",
    "load_shapes", "saved", "savings",
]  # fmt: skip

REPORT_WORK = 83  # percent of inference FLOPs that they cost at 128k
CONTEXTS = [1024 * 2**power for power in range(8)]
DESK_CONTEXTS = [128, 256, 512, 1024, 2048, 4096]

# FLOPs per head, layer and pair of tokens, as a multiple of 4 x 128 where they are more; and how the choice is called.
CONVENTIONS = {
    "plain": (512, "128 for key and value"),
    "rope": (640, "192 for key, 128 for value"),
    "causal": (320, "the same, at half the context"),
    "absorbed": (2176, "absorbed: 576 and 512"),
}


def extra_work(config: ModelConfig, context: int, convention: str, heads: int = 2) -> float:
    """Share of inference FLOPs per token that `heads` times the heads add (K2 at 131,072, "plain": 0.83).

    Per token 2 FLOPs per activated weight, embedding counted as if it were multiplied, and the convention's FLOPs for each
    earlier token in each head of each layer. Which convention stands behind the report's 83 % is not published.
    """
    require(convention in CONVENTIONS, "convention", convention, f"one of {', '.join(CONVENTIONS)}")
    pair = CONVENTIONS[convention][0]

    def work(c: ModelConfig) -> float:
        return 2 * count_parameters(c).activated + c.num_hidden_layers * c.num_attention_heads * pair * context

    return work(config.replace(num_attention_heads=heads * config.num_attention_heads)) / work(config) - 1


# ---- the budget desk ---------------------------------------------------------------------------------------------------


def target_loss(shapes: Shapes) -> float:
    """The lowest loss, to a twentieth of a nat, that every seed of every shape came below."""
    return float(np.ceil(common_range(shapes)[0] * 20) / 20)


def desk(shapes: Shapes) -> Stage:
    """Two dials and a context; four needles over the recorded shapes: loss, FLOPs to a loss, work per token, weights."""
    target = target_loss(shapes)
    best, least = shapes[(64, USUAL[1])], shapes[(4, USUAL[1])]
    fewer = 1 - best.loss_SB[:, -1].mean() / least.loss_SB[:, -1].mean()
    rows = [("experts", "heads", "held-out loss", f"GFLOP to loss {target:g}", "weights, MB")]
    rows += [
        (
            s.experts,
            s.heads,
            f"{s.loss_SB[:, -1].mean():.3f}",
            f"{s.to_reach(target).mean() / 1e9:,.0f}",
            f"{s.bytes / 1e6:.2f}",
        )
        for s in shapes.values()
    ]
    return stage(
        "desk",
        {
            "config": config_fields(shapes[USUAL].config),
            "experts": sorted({experts for experts, _ in shapes}),
            "heads": sorted({heads for _, heads in shapes}),
            "usual": {"experts": USUAL[0], "heads": USUAL[1]},
            "contexts": DESK_CONTEXTS,
            "target": target,
            "tokens": int(shapes[USUAL].tokens_B[-1]),
            "seeds": len(shapes[USUAL].seeds),
            "shapes": [_on_the_desk(shape, target) for shape in shapes.values()],
        },
        name="bets-desk",
        title=f"Sixteen times the experts, two at work: "
        f"loss {100 * abs(fewer):.1f} % {'lower' if fewer > 0 else 'higher'}, "
        f"weights {best.bytes / least.bytes:.1f} times as large.",
        alt="Four number lines, one above the other: held-out loss, training FLOPs to one loss, work for one token, bytes of "
        "weights. On each, green marks for 4, 8, 16, 32 and 64 experts and blue ones for 4, 8 and 16 heads, bars from the "
        "lowest to the highest seed, and a needle at the chosen setting. On the loss line most bars overlap; on the last "
        "line the green marks spread.",
        still=still.table(rows[0], rows[1:]),
        height=1000,
    )


def _on_the_desk(shape: Shape, target: float) -> dict[str, Any]:
    return {
        "experts": shape.experts, "heads": shape.heads,
        "loss": shape.loss_SB[:, -1].round(5).tolist(), "reach": shape.to_reach(target).round(-6).tolist(),
    }  # fmt: skip


# ---- twice the heads ---------------------------------------------------------------------------------------------------


def doubling(config: ModelConfig = K2) -> Stage:
    """What twice the heads add to the work for one token, against the context, under four ways of counting."""
    at_4k, at_128k = (100 * extra_work(config, context, "plain") for context in (4096, 131_072))
    rows = [("counted per pair of tokens", "FLOPs", "4,096", "131,072")]
    for name, (pair, words) in CONVENTIONS.items():
        rows.append((words, pair, *(f"+{100 * extra_work(config, context, name):.0f} %" for context in (4096, 131_072))))
    return stage(
        "doubling",
        {
            "config": config_fields(config), "contexts": CONTEXTS,
            "conventions": {name: {"pair": pair, "words": words} for name, (pair, words) in CONVENTIONS.items()},
            "report": {"work": REPORT_WORK, "loss": REPORT_HEADS},
        },
        name="bets-doubling",
        title=f"128 heads for 64: {at_4k:.0f}\u00a0% more work per token at 4,096 tokens, "
        f"{at_128k:.0f}\u00a0% more at 131,072.",
        alt="Extra work for one token with twice the heads, in percent, against the context on a logarithmic axis. Four "
        "curves, one per way of counting, rise to between 76 and 95 percent. Hollow diamonds: the report's 83 percent "
        "at the right end, and far below it the loss that twice the heads gain, 0.5 to 1.2 percent.",
        still=still.table(rows[0], rows[1:]),
        height=720,
    )  # fmt: skip
