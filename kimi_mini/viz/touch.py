"""The figures of the chapter *Touch it first*: MINI under the hand, and what was measured with one part at a time switched off.

In a built page the model itself runs (static/60-tokenizer.js to 64-touch.js); until it is touched, and wherever it cannot run,
the same picture shows recordings that this module makes with the package.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..checks import require
from ..generation import generate
from ..model import KimiMini, LatentCache
from ..tokenizer import Tokenizer
from . import still
from .quiet import Quiet, Slider, quiet
from .stage import Stage, stage

# Beginnings in the manner of MINI's five domains: a name for the button, the text.
PROMPTS = {
    "plays": ("plays", "MACBETH.\nWhat is the"),
    "facts": ("facts (a town)", "Corbewick lies on the river Joru. Its people make"),
    "code": ("code", "    if n not in G:\n        raise"),
    "maths": ("maths (a sum)", "Question: What is 47 + 6?\n"),
    "chat": ("chat", "<|im_user|>user<|im_middle|>What is 12 + 30?<|im_end|><|im_assistant|>assistant<|im_middle|>"),
}
_ANSWER = 24  # recorded tokens behind each beginning
_LIKELIEST = 5
SENTENCE = 32  # tokens that the page calls a sentence


@dataclass(frozen=True)
class Ablation:
    """What `python -m runs.ablation` measured: loss of each held-out window with one part off, and what goes with it.

    loss[part] has one number per window, domain by domain; "none" is the whole model. Part names are kind-layer-index.
    """

    domains: tuple[str, ...]
    windows: int
    length: int
    loss: dict[str, list[float]]
    touched_at: tuple[int, ...]
    touched: dict[str, list[float]]
    max_logits: list[list[float]]

    def parts(self, kind: str, fields: int = 2) -> list[str]:
        """Names of one kind with so many numbers: parts("shared", 1) are the shared experts of single layers."""
        return [name for name in self.loss if name.split("-")[0] == kind and name.count("-") == fields]

    def cost(self, part: str, domain: str | None = None) -> tuple[float, float]:
        """Nats per token that the loss gains without this part (None: mean over all domains), and its standard error."""
        place = 0 if domain is None else self.domains.index(domain) * self.windows
        count = len(self.loss["none"]) if domain is None else self.windows
        pairs = zip(self.loss[part], self.loss["none"], strict=True)
        gained = [off - whole for off, whole in pairs][place : place + count]
        mean = sum(gained) / count
        return mean, math.sqrt(sum((one - mean) ** 2 for one in gained) / (count - 1) / count)

    def touched_by(self, tokens: int) -> float:
        """Mean share of the routed experts that so many tokens in a row used, over the domains."""
        place = self.touched_at.index(tokens)
        return sum(row[place] for row in self.touched.values()) / len(self.touched)


def load_ablation(path: str | Path) -> Ablation:
    """Read the measurement; raises ValueError where it is not there or is not finished."""
    try:
        told = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read ({error}); expected what `python -m runs.ablation` writes") from None
    experts = sum(name.startswith("expert-") for name in told["loss"])
    wanted = sum(sum(share) > 0 for share in told["share"]) * len(told["share"][0])
    require(experts == wanted, "experts measured", experts, f"{wanted}; `python -m runs.ablation` measures the rest")
    fields = {name: told[name] for name in ("windows", "length", "loss", "touched", "max_logits")}
    return Ablation(domains=tuple(told["domains"]), touched_at=tuple(told["touched_at"]), **fields)


# ---- the signature visual ----------------------------------------------------------------------------------------------


def touch(model: KimiMini, tokenizer: Tokenizer, measured: Ablation) -> Stage:
    """A text box over MINI; layers with their heads and experts, each of which the reader may switch off."""
    c = model.config
    recordings = {key: {"name": name, **record(model, tokenizer, text)} for key, (name, text) in PROMPTS.items()}
    first = recordings["plays"]
    likely = first["traces"][first["asked"] - 1]["top"]
    (_, best, share), text = likely[0], PROMPTS["plays"][1].replace("\n", " ")
    config = {
        "layers": c.num_hidden_layers, "dense": c.first_k_dense_replace, "heads": c.num_attention_heads,
        "experts": c.n_routed_experts, "active": c.num_experts_per_tok, "entry": c.cache_width,
    }  # fmt: skip
    return stage(
        "touch",
        {"config": config, "recordings": recordings, "touched": measured.touched_by(SENTENCE)},
        title=f"After “{text}” MINI expects “{best.strip()}”, {share:.0%} sure.",
        alt="A text box, the tokens of the text, and five layers one below the other: six bars for the largest logit of each "
        "head, and in four of the layers 32 tiles for the routed experts and one for the shared expert. The experts that the "
        "last token used are lit. Below, the cache in bytes and the five likeliest next tokens as bars.",
        still=still.bars((f"next: {piece!r}", share, f"{share:.1%}", "rest") for _, piece, share in likely)
        + _trace_table(first),
        height=1180,
    )


@torch.inference_mode()
def record(model: KimiMini, tokenizer: Tokenizer, text: str) -> dict[str, Any]:
    """A beginning and what MINI wrote behind it (temperature 0.7), with all that the picture shows of each token."""
    prompt = [tokenizer.bos, *tokenizer.encode(text, special=True)]
    (answer,) = generate(model, [prompt], max_new_tokens=_ANSWER, temperature=0.7, eos=tokenizer.eos, seed=1)
    ids = prompt + answer
    cache = LatentCache(model.config, 1, len(ids))
    traces = []
    for token in ids:  # one at a time, as the page reads them: the maxima are then this token's own
        logits_BTV, stats = model(torch.tensor([[token]]), cache=cache)
        top = logits_BTV[0, -1].softmax(-1).topk(_LIKELIEST)
        traces.append({
            "id": token,
            "piece": tokenizer.decode([token]),
            "maxima": [[round(value, 2) for value in row] for row in stats.max_logits_LH.tolist()],
            "chosen": [row.nonzero()[:, 0].tolist() for row in stats.expert_load_LE],
            "top": [[i, tokenizer.decode([i]), round(p, 4)] for p, i in zip(*(t.tolist() for t in top), strict=True)],
        })  # fmt: skip
    return {"asked": len(prompt), "ids": ids, "traces": traces}


def _trace_table(recorded: dict[str, Any]) -> str:
    rows = (
        (trace["piece"], "; ".join(", ".join(map(str, experts)) for experts in trace["chosen"] if experts))
        for trace in recorded["traces"][: recorded["asked"]]
    )
    return still.table(["token", "experts of layers 1; 2; 3; 4"], rows)


# ---- what was measured -------------------------------------------------------------------------------------------------

_ROWS = {
    "expert": ("one routed expert", 2, "experts"),
    "head": ("one attention head", 2, "attention"),
    "shared": ("the shared expert of one layer", 1, "experts"),
    "all-shared": ("all four shared experts", 0, "experts"),
    "routed": ("all 32 routed experts of one layer", 1, "experts"),
}


def losses(measured: Ablation) -> Stage:
    """Every part of MINI by what the held-out loss gains without it."""
    rows = []
    for key, (label, fields, colour) in _ROWS.items():
        names = measured.parts(key.removeprefix("all-"), fields)
        costs = {domain or "all": [measured.cost(name, domain) for name in names] for domain in (None, *measured.domains)}
        rounded = {domain: [[round(x, 5) for x in cost] for cost in found] for domain, found in costs.items()}
        rows.append({"key": key, "label": label, "colour": colour, "parts": names, "cost": rounded})
    whole = sum(measured.loss["none"]) / len(measured.loss["none"])
    shared, head = measured.cost("shared")[0], max(measured.cost(name)[0] for name in measured.parts("head"))
    return stage(
        "losses",
        {
            "rows": rows,
            "domains": ["all", *measured.domains],
            "whole": round(whole, 5),
            "windows": measured.windows,
            "length": measured.length,
        },
        name="touch-losses",
        title=f"Without all four shared experts the loss gains {shared:.2f} nats per token; without one head up to {head:.2f}.",
        alt="Dots on one axis, one for each part of MINI, at the nats per token that the held-out loss gains without it. Most "
        "of the 128 routed experts lie below 0.01. The shared experts lie there too. Some heads lie above 0.1.",
        still=still.bars(
            (
                f"{label}, largest",
                max(measured.cost(n)[0] for n in measured.parts(key.removeprefix("all-"), fields)),
                "",
                colour,
            )
            for key, (label, fields, colour) in _ROWS.items()
        ),
        height=560,
    )


def touched(measured: Ablation, *, experts: int, active: int) -> Quiet:
    """Share of the routed experts used at least once against tokens read, beside random routes."""
    tokens = list(measured.touched_at)
    line = {"type": "scatter", "x": tokens, "mode": "lines+markers", "showlegend": False}

    def draw(domain: str) -> list[dict[str, Any]]:
        random = [100 * (1 - (1 - active / experts) ** n) for n in tokens]
        real = [100 * share for share in measured.touched[domain]]
        return [
            {**line, "y": random, "mode": "lines+text", "line": {"color": still.COLOURS["rest"], "dash": "dash"},
             "text": _only(tokens, 4, "random routes"), "textposition": "top left"},
            {**line, "y": real, "line": {"color": still.COLOURS["experts"]}, "mode": "lines+markers+text",
             "text": _only(tokens, 5, "MINI"), "textposition": "bottom right"},
        ]  # fmt: skip

    def title(domain: str) -> str:
        share, chance = measured.touched[domain][tokens.index(SENTENCE)], 1 - (1 - active / experts) ** SENTENCE
        used, random = (f"{100 * value:.0f}\u00a0%" for value in (share, chance))
        return f"{domain.capitalize()}: {SENTENCE} tokens have used {used} of the experts, random routes {random}"

    ticks = {
        "type": "log",
        "tickvals": tokens,
        "ticktext": [*map(str, tokens)],
        "title": {"text": "tokens read"},
    }
    return quiet(
        draw,
        title=title,
        alt="Share of the 128 routed experts used at least once against tokens read, on a logarithmic axis. The measured line "
        "rises from 12.5 % at one token to more than 90 % at 128, and stays below the dashed line for random routes.",
        slider=Slider("text", list(measured.domains)),
        xaxis=ticks,
        yaxis={"range": [0, 108], "ticksuffix": " %"},
    )


def _only(values: Sequence[int], place: int, text: str) -> list[str]:
    return [text if index == place else "" for index in range(len(values))]
