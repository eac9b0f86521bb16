"""A run that is let go until a head runs away, and is clipped from then on."""

from __future__ import annotations

import torch

from kimi_mini.labs import Case, ScriptedRun
from labs.course.exercise import Coding, Mistake, Variant
from labs.course.twist import twist

SOLUTION = '''
import torch


def explode_then_stop(run, limit, tau, steps):
    """Train without the clip until a head runs away, and with it from then on; report what the clip did.

    run      run.step() makes one update and returns max_logits_LH, [layers, heads]: what its forward pass saw.
             run.clip(max_logits_LH, tau) is QK-Clip after that update, on all layers: it clips the heads whose number
             exceeds tau, and returns their factors gamma_LH, 1 where nothing was done
    limit    a head has run away when its largest logit is > limit
    tau      the clip's threshold, at most `limit`
    steps    how many updates to make in all

        for update 1, 2, ..., steps:
            step
            if a head has run away, now or earlier:   clip, with the maxima of this update

    Returns a dict:
        "first"         the update after which the clip first ran, counted from 1; None if it never did
        "log_factors"   a list, for every clip the logarithm of its gamma_LH, [layers, heads]
        "touched"       a list of [layer, head], in order: the heads that were scaled at least once
    """
    first, gammas = None, []
    for update in range(1, steps + 1):
        max_logits_LH = run.step()
        beyond_LH = max_logits_LH > limit
        away = bool(beyond_LH.any())
        if first is None and away:
            first = update
        if first is not None:
            seen_LH = max_logits_LH
            gamma_LH = run.clip(seen_LH, tau)
            gammas.append(gamma_LH)
    touched = []
    if gammas:
        touched = (torch.stack(gammas) < 1).any(0).nonzero().tolist()
    log_factors = [gamma_LH.log() for gamma_LH in gammas]
    return {"first": first, "log_factors": log_factors, "touched": touched}
'''

PACKAGE = """
import torch

from kimi_mini.optim import clip_factors


def explode_then_stop(run, limit, tau, steps):
    first, log_factors = None, []
    for update in range(1, steps + 1):
        max_logits_LH = run.step()
        if first is None and (clip_factors(max_logits_LH, limit) < 1).any():
            first = update
        if first is not None:
            log_factors.append(run.clip(max_logits_LH, tau).log())
    touched = (torch.stack(log_factors) < 0).any(0).nonzero().tolist() if log_factors else []
    return {"first": first, "log_factors": log_factors, "touched": touched}
"""

_LIMIT, _TAU = 60.0, 40.0


def cases(seed: int) -> tuple[Case, ...]:
    """Acted runs of two layers of four heads, with quiet heads in both."""
    gen = torch.Generator().manual_seed(seed)

    def noise(steps: int) -> torch.Tensor:
        return 1 + 0.03 * torch.rand(steps, 2, 4, generator=gen, dtype=torch.float64)

    def script(*pieces: tuple[int, list[float]]) -> torch.Tensor:
        """Each piece: so many updates, and what head [0, 0], [0, 1], [1, 0], [1, 1] grow by in each; the others are quiet."""
        now_LH = torch.tensor([[18.0, 12.0, 9.0, -2.0], [24.0, 14.0, 11.0, 6.0]], dtype=torch.float64)
        rows = []
        for steps, growth in pieces:
            rate_LH = torch.ones(2, 4, dtype=torch.float64)
            rate_LH[:, :2] = torch.tensor(growth, dtype=torch.float64).view(2, 2)
            for _ in range(steps):
                now_LH = now_LH * rate_LH
                rows.append(now_LH)
        return torch.stack(rows) * noise(len(rows))

    def case(name: str, maxima_SLH: torch.Tensor, extra: int = 2) -> Case:
        return Case(name, (ScriptedRun(maxima_SLH), _LIMIT, _TAU, len(maxima_SLH) - extra), in_place=True)

    # One head passes the limit once, alone; then a layer runs away; then it is calm; then it grows again.
    spike_SLH = script(
        (3, [1.0, 1.0, 1.0, 1.0]), (12, [1.0, 1.0, 1.25, 1.12]), (9, [1.12, 1.0, 0.7, 0.8]), (8, [1.0, 1.0, 1.4, 1.3])
    )
    spike_SLH[4, 1, 0] = 70.0
    return (
        case("one layer runs away", script((14, [1.04, 1.0, 1.18, 1.15]))),
        case("both layers run away, one after the other", script((16, [1.13, 1.05, 1.2, 1.1]))),
        case("a spike, growth, calm, growth", spike_SLH),
        case("nothing passes the limit, though heads pass tau", script((9, [1.0, 1.0, 1.07, 1.1]))),
    )


PRACTICE = Variant(
    "the report's",
    SOLUTION,
    cases,
    (
        Mistake(
            "clipped from the start",
            "if first is None and away:",
            "if first is None:",
            "The run was clipped from its first update. It is to run free until a head exceeds `limit`.",
        ),
        Mistake(
            "limit and tau mixed up",
            "max_logits_LH > limit",
            "max_logits_LH > tau",
            "The clip began when a head passed tau. It begins when one passes `limit`; tau is what it is clipped to.",
        ),
        Mistake(
            "counted from 0",
            "first = update",
            "first = update - 1",
            "`first` is off by one: the first update has number 1.",
        ),
        Mistake(
            "one update late",
            "if first is not None",
            "if first is not None and update > first",
            "The clip began one update late. The update in which a head runs away is clipped already.",
        ),
        Mistake(
            "factors not logged",
            "[gamma_LH.log() for gamma_LH in gammas]",
            "[]",
            "log_factors is empty. It holds one tensor for every clip, also for a clip that did nothing.",
        ),
        Mistake(
            "only the last factors logged",
            "[gamma_LH.log() for gamma_LH in gammas]",
            "[gamma_LH.log() for gamma_LH in gammas[-1:]]",
            "Only the last clip is in log_factors. Append one tensor for every clip.",
        ),
        Mistake(
            "factors not as logarithms",
            "[gamma_LH.log() for gamma_LH in gammas]",
            "gammas",
            "log_factors holds the factors themselves. With logarithms, what a head lost in all is a sum.",
        ),
        Mistake(
            "a head below tau touched",
            "run.clip(seen_LH, tau)",
            "run.clip(seen_LH.amax().expand_as(seen_LH), tau)",
            "Heads below tau were clipped: the clip was given one maximum for all. Give it each head's own.",
        ),
        Mistake(
            "clipped to the limit",
            "run.clip(seen_LH, tau)",
            "run.clip(seen_LH, limit)",
            "The clip was given `limit` as its threshold. It is `tau`.",
        ),
        Mistake(
            "clipped only beyond the limit",
            "if first is not None",
            "if away",
            "Once a head has run away, the clip runs after every update, also when all heads are below `limit` again.",
        ),
        Mistake(
            "touched by logits",
            "(torch.stack(gammas) < 1).any(0)",
            "(max_logits_LH > limit)",
            "`touched` does not follow from the factors: a head counts when one of its factors was below 1, in any clip.",
        ),
    ),
)

EXPLODE = Coding(
    "explode_then_stop",
    "Explode, then stop it",
    minutes=25,
    difficulty=2,
    points=4,
    practice=PRACTICE,
    package=PACKAGE,
    twists=(
        twist(
            PRACTICE,
            "stop when calm",
            "The clip is switched off for good after three clips in a row that scaled no head.",
            (
                "            if a head has run away, now or earlier:   clip, with the maxima of this update\n",
                "            if a head has run away, now or earlier:   clip, with the maxima of this update\n"
                "            but never again after three clips in a row whose factors were all 1\n",
            ),
            ("first, gammas = None, []", "first, gammas, calm = None, [], 0"),
            ("if first is not None:", "if first is not None and calm < 3:"),
            (
                "gammas.append(gamma_LH)",
                "gammas.append(gamma_LH)\n            calm = 0 if (gamma_LH < 1).any() else calm + 1",
            ),
        ),
        twist(
            PRACTICE,
            "guilty layers only",
            "Only a layer in which a head has exceeded `limit`, in this update or an earlier one, is clipped; hand run.clip "
            "-inf for every head of the other layers.",
            (
                "clip, with the maxima of this update\n",
                "clip, with the maxima of this update,\n"
                "            but -inf for the layers in which no head has run away so far\n",
            ),
            ("first, gammas = None, []", "first, gammas, guilty_L = None, [], False"),
            (
                "        away = bool(",
                "        guilty_L = guilty_L | beyond_LH.any(1)\n        away = bool(",
            ),
            (
                "seen_LH = max_logits_LH",
                'seen_LH = torch.where(guilty_L[:, None], max_logits_LH, float("-inf"))',
            ),
        ),
        twist(
            PRACTICE,
            "twice in a row",
            "One update beyond `limit` is not enough: the clip begins when a head, the same or another, exceeds it in two "
            "updates in a row.",
            (
                "if a head has run away, now or earlier:",
                "if a head had run away in two updates in a row, now or earlier:",
            ),
            ("first, gammas = None, []", "first, gammas, before = None, [], False"),
            ("if first is None and away:", "if first is None and away and before:"),
            ("        if first is not None:", "        before = away\n        if first is not None:"),
        ),
        twist(
            PRACTICE,
            "every second update",
            "From the first clip on, only every second update is clipped, with each head's largest logit of the two updates.",
            (
                "clip, with the maxima of this update\n",
                "clip, then after every second update,\n"
                "            with each head's larger maximum of this update and the one before\n",
            ),
            ("first, gammas = None, []", "first, gammas, before_LH = None, [], None"),
            (
                "        away = bool(",
                "        if before_LH is None:\n            before_LH = max_logits_LH\n        away = bool(",
            ),
            ("if first is not None:", "if first is not None and (update - first) % 2 == 0:"),
            ("seen_LH = max_logits_LH", "seen_LH = torch.maximum(max_logits_LH, before_LH)"),
            ("gammas.append(gamma_LH)", "gammas.append(gamma_LH)\n        before_LH = max_logits_LH"),
        ),
    ),
)
