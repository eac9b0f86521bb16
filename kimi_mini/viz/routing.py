"""The figures of the chapter *Routing*, from what `runs.routes` recorded of MINI."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from ..checks import require
from ..config import ModelConfig
from ..model import Router, Routing
from ..presets import MINI
from . import still
from .quiet import Quiet, Slider, caption, quiet
from .routing_runs import load_routes, unpack_scores
from .stage import Stage, stage

__all__ = ["foretold", "gate_scales", "load_routes", "reroute", "route", "scores", "sentence"]

OPENING = {"sentence": "plays/7", "word": 8, "layer": 3, "expert": 16}


# ---- a sentence over experts by layers ---------------------------------------------------------------------------------


def route(score_TE: Any, bias_E: Any, config: ModelConfig = MINI) -> Routing:
    """What the package's own router answers to scores that were recorded, under any bias."""
    score_TE = torch.as_tensor(np.asarray(score_TE, dtype=float))
    router = Router(config.replace(hidden_size=score_TE.shape[1], n_routed_experts=score_TE.shape[1])).double()
    with torch.no_grad():
        router.weight.copy_(torch.eye(score_TE.shape[1]))
        router.selection_bias.copy_(torch.as_tensor(bias_E))
        return router(torch.logit(score_TE))


def scores(row: Mapping[str, Any], index: int) -> np.ndarray:
    """[layers, words, experts] of a recorded sentence."""
    sentence = row["sentences"][index]
    return unpack_scores(sentence["scores"], (len(row["biases"]), len(sentence["words"]), row["experts"]))


def reroute(
    domains: Iterable[Mapping[str, Any]], domain: str, index: int, *, layer: int, expert: int, lift: float = 0.0
) -> Routing:
    """The routes of one recorded sentence through a layer, with `lift` on one expert's bias. Raises ValueError for a domain
    or layer that was not recorded."""
    rows = {row["domain"]: row for row in domains}
    require(domain in rows, "domain", domain, " or ".join(rows))
    row = rows[domain]
    first = MINI.first_k_dense_replace
    require(0 <= layer - first < len(row["biases"]), "layer", layer, f"{first} to {first + len(row['biases']) - 1}")
    bias_E = np.array(row["biases"][layer - first])
    bias_E[expert] += lift
    return route(scores(row, index)[layer - first], bias_E)


def sentence(domains: Sequence[Mapping[str, Any]]) -> Stage:
    """Recorded sentences over a grid of experts by layers; a word is tapped, an expert's bias is lifted by hand."""
    row = domains[0]
    layers = [layer for layer in range(MINI.num_hidden_layers) if MINI.is_moe(layer)]
    data = {
        "domains": {
            each["domain"]: [{"words": one["words"], "scores": one["scores"]} for one in each["sentences"]]
            for each in domains
        },
        "biases": [[round(bias, 6) for bias in layer] for layer in row["biases"]],
        "layers": layers, "experts": row["experts"], "k": row["chosen_per_token"], "scale": row["scale"],
        "longest": max(len(one["words"]) for each in domains for one in each["sentences"]), "opening": OPENING,
    }  # fmt: skip
    domain, index = OPENING["sentence"].split("/")
    words = next(each for each in domains if each["domain"] == domain)["sentences"][int(index)]["words"]
    place = {"layer": OPENING["layer"], "expert": OPENING["expert"]}
    routing, lifted = (reroute(domains, domain, int(index), lift=lift, **place) for lift in (0.0, 1.0))
    before, after = (_voice(each, OPENING["expert"]) for each in (routing, lifted))
    team = sorted(routing.expert_TK[OPENING["word"]].tolist())
    cells = [
        (word.replace("\n", "\u21b5"), ", ".join(map(str, sorted(chosen))))
        for word, chosen in zip(words, routing.expert_TK.tolist(), strict=True)
    ]
    return stage(
        "sentence",
        data,
        name="routing-sentence",
        title=f"Layer {OPENING['layer']} sends \u201c{words[OPENING['word']].strip()}\u201d to experts "
        f"{', '.join(map(str, team[:-1]))} and {team[-1]}; expert {OPENING['expert']} is chosen by {before[0]} "
        f"of {len(words)} words.",
        alt=f"A sentence above a grid of {len(layers)} layers by {row['experts']} experts, shaded by how many words chose "
        "each; below it the scores and biases of one word, its four weights, and one expert's weight at every word. "
        f"Lifting expert {OPENING['expert']} of layer {OPENING['layer']} raises its words from {before[0]} to {after[0]} of "
        f"{len(words)}, and its average weight falls from {before[1]:.2f} to {after[1]:.2f}.",
        still=still.table(("word", f"experts chosen in layer {OPENING['layer']}"), cells),
        height=1150,
    )


def _voice(routing: Routing, expert: int) -> tuple[int, float]:
    """(words that chose the expert, its mean weight there)."""
    weights = routing.weight_TK[routing.expert_TK == expert]
    return len(weights), float(weights.mean())


# ---- what foretells a choice -------------------------------------------------------------------------------------------

_KNOWN = {"domain": "the domain", "kind": "the kind of token", "token before": "the token before", "token": "the token"}


def foretold(measures: Mapping[int, Mapping[str, Any]]) -> Stage:
    """Share of the variance of choices that domain, kind, token and neighbours foretell, by layer."""
    most = max(measures)
    row = measures[most]
    together = {name: each[-1] for name, each in row["shares"].items()}
    data = {
        "measures": {str(size): {"layers": each["layers"], "shares": each["shares"]} for size, each in measures.items()},
        "layers": row["layers"], "opening": str(most), "length": row["length"], "domains": 4,
    }  # fmt: skip
    bars = [(text, together[name]["value"], f"{together[name]['value']:.1%}", "experts") for name, text in _KNOWN.items()]
    return stage(
        "foretold",
        data,
        name="routing-foretold",
        title=f"The token accounts for {together['token']['value']:.0%} of the variance of the choices, the domain for "
        f"{together['domain']['value']:.0%}, all layers together.",
        alt="Dots with intervals on one axis: which share of the variance of the router's choices is accounted for by the "
        "domain of a text, the kind of token, the token before, the token, and pairs of these. The token is far ahead of the "
        "domain; shuffled labels account for nothing. Sliders choose the layer and the amount of text.",
        still=still.bars(bars),
        height=640,
    )


# ---- the scale ---------------------------------------------------------------------------------------------------------


def gate_scales(estimates: Mapping[tuple[int, int], float], released: Mapping[str, tuple[int, int, float]]) -> Quiet:
    """Estimated factor against the number of experts, for each number chosen; diamonds are what models were released with.

    estimates[experts, chosen] is from `gate_scale`; released[name] is (experts, chosen, factor).
    """
    diamond = {"symbol": "diamond-open", "size": 14, "line": {"width": 2}, "color": still.COLOURS["rest"]}
    counts = sorted({chosen for _, chosen in estimates})

    def draw(chosen: int) -> list[dict[str, Any]]:
        x = sorted(experts for experts, k in estimates if k == chosen)
        models = {name: each for name, each in released.items() if each[1] == chosen}
        return [
            {
                "type": "scatter", "mode": "lines+markers", "x": x, "y": [round(estimates[e, chosen], 4) for e in x],
                "line": {"color": still.COLOURS["experts"], "width": 2}, "marker": {"size": 8},
                "hovertemplate": "%{x} experts<br>factor %{y:.3f}<extra></extra>",
            },
            {
                "type": "scatter", "mode": "lines+text", "x": [min(x), max(x)], "y": [math.sqrt(chosen)] * 2,
                "line": {"color": still.COLOURS["rest"], "dash": "dash"},
                "text": [f"root of {chosen}", ""], "textposition": "top right",
            },
            {
                "type": "scatter", "mode": "markers+text", "x": [each[0] for each in models.values()],
                "y": [each[2] for each in models.values()], "text": [f"<b>{name}</b>" for name in models],
                "textposition": "bottom center", "marker": diamond,
            },
        ]  # fmt: skip

    def title(chosen: int) -> str:
        most = max(experts for experts, k in estimates if k == chosen)
        return f"{chosen} of {most} experts: factor {estimates[most, chosen]:.4f}, below {math.sqrt(chosen):.4f}"

    ticks = sorted({experts for experts, _ in estimates})[::2]
    return quiet(
        draw,
        title=title,
        alt="Estimated factor on routed experts against the number of experts; the slider picks how many are chosen. The line "
        "rises towards the root of that number and never reaches it; released models are hollow diamonds.",
        slider=Slider("experts chosen per token", counts, start=len(counts) - 1),
        xaxis={
            "title": {"text": "routed experts", "font": {"size": 14}},
            "type": "log",
            "tickangle": 0,
            "tickvals": ticks,
            "ticktext": [str(tick) for tick in ticks],
        },
        yaxis={"range": [1.2, 3.05]},
        annotations=caption("factor"),
    )
