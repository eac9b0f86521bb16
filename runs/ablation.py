"""What MINI loses when one part is switched off: held-out loss without each routed expert, head and shared expert.

A part is off when its output weights are zero: nothing else changes, the router still chooses, and the other experts keep
their weights. One row per part in book/data/ablation.json, written as it goes; a second call measures what is missing. The
same file says how many experts a few tokens touch, and how large each head's logits are.

examples:
  python -m runs.ablation --list             the parts, and which of them are done
  python -m runs.ablation                    what is missing (about 2 s each on one core)
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from tqdm import tqdm

import kimi_mini as km
from kimi_mini import corpus
from kimi_mini.config import ModelConfig
from kimi_mini.corpus.files import Corpus, data_folder
from kimi_mini.hub.mini import weights_sha256
from kimi_mini.kernels.rows import cross_entropy_torch
from runs.output import made_here, write_json

FILE = Path("book/data/ablation.json")
WINDOWS, LENGTH = 6, 512  # of every domain
TOUCHED_AT = (1, 2, 4, 8, 16, 32, 64, 128)
STRETCHES = 20  # of every domain, for what a few tokens touch


class Part(NamedTuple):
    """One thing to switch off; a layer of -1 means all layers, an index of -1 that there is only one."""

    kind: str  # none | expert | shared | routed | head
    layer: int = -1
    index: int = -1

    @property
    def name(self) -> str:
        return "-".join([self.kind, *(str(number) for number in self[1:] if number >= 0)])


def parts(config: ModelConfig) -> list[Part]:
    """The whole model first, then shared experts, heads, a layer's routed experts together, and each one alone."""
    moe = [layer for layer in range(config.num_hidden_layers) if config.is_moe(layer)]
    return [
        Part("none"),
        Part("shared"),
        *(Part("shared", layer) for layer in moe),
        *(Part("routed", layer) for layer in moe),
        *(Part("head", layer, h) for layer in range(config.num_hidden_layers) for h in range(config.num_attention_heads)),
        *(Part("expert", layer, e) for layer in moe for e in range(config.n_routed_experts)),
    ]


@contextmanager
def switched_off(model: km.KimiMini, *off: Part) -> Iterator[km.KimiMini]:
    """The same model with the output weights of these parts at zero; they come back at the end."""
    views = [view for part in off for view in _output_weights(model, part)]
    saved = [view.clone() for view in views]
    try:
        with torch.no_grad():
            for view in views:
                view.zero_()
        yield model
    finally:
        with torch.no_grad():
            for view, before in zip(reversed(views), reversed(saved), strict=True):
                view.copy_(before)


def _output_weights(model: km.KimiMini, part: Part) -> list[Tensor]:
    moe = [layer for layer in range(model.config.num_hidden_layers) if model.config.is_moe(layer)]
    blocks = [model.blocks[layer] for layer in (moe if part.layer < 0 else [part.layer])]
    if part.kind == "head":
        width = model.config.v_head_dim
        return [block.attn.out.weight.data[:, part.index * width : (part.index + 1) * width] for block in blocks]
    return {
        "none": lambda: [],
        "shared": lambda: [block.mlp.shared.down.weight.data for block in blocks],
        "routed": lambda: [block.mlp.experts.down.data for block in blocks],
        "expert": lambda: [block.mlp.experts.down.data[part.index] for block in blocks],
    }[part.kind]()


def windows(text: Corpus, count: int = WINDOWS, length: int = LENGTH) -> Tensor:
    """`count` stretches of every domain's held-out text, evenly apart and cut anywhere: ids_WT with T = `length` + 1."""
    rows = []
    for domain in text.tokens:
        ids_N = torch.from_numpy(text.tokens[domain]["held_out"].astype("int64"))
        starts = torch.linspace(0, len(ids_N) - length - 1, count).long()
        rows += [ids_N[start : start + length + 1] for start in starts]
    return torch.stack(rows)


@torch.inference_mode()
def losses(model: km.KimiMini, ids_WT: Tensor) -> list[float]:
    """Mean loss of each window, in nats per token."""
    found = []
    for ids_1T in ids_WT.split(1):
        logits_TV = model(ids_1T[:, :-1]).logits_BTV[0]
        found.append(round(float(cross_entropy_torch(logits_TV, ids_1T[0, 1:])) / LENGTH, 6))
    return found


@torch.inference_mode()
def routes(model: km.KimiMini, ids_T: Tensor) -> Tensor:
    """Experts chosen for each token in every layer that has some: expert_LTK."""
    chosen = []
    routers = [block.mlp.router for block in model.blocks if hasattr(block.mlp, "router")]
    hooks = [router.register_forward_hook(lambda _m, _x, routing: chosen.append(routing.expert_TK)) for router in routers]
    try:
        model(ids_T[None])
    finally:
        for hook in hooks:
            hook.remove()
    return torch.stack(chosen)


def touched(model: km.KimiMini, text: Corpus) -> dict[str, list[float]]:
    """Mean share of all routed experts that n tokens in a row used at least once, n in TOUCHED_AT, per domain."""
    rows_DWT = windows(text, STRETCHES)[:, : TOUCHED_AT[-1]].unflatten(0, (-1, STRETCHES))
    shares = {}
    for domain, rows_WT in zip(text.tokens, rows_DWT, strict=True):
        chosen = [routes(model, ids_T) for ids_T in rows_WT]
        tiles = len(chosen[0]) * model.config.n_routed_experts
        used = [[sum(len(layer[:n].unique()) for layer in expert_LTK) for n in TOUCHED_AT] for expert_LTK in chosen]
        shares[domain] = [round(value, 6) for value in (torch.tensor(used).double().mean(0) / tiles).tolist()]
    return shares


def facts(model: km.KimiMini, text: Corpus) -> dict[str, Any]:
    """All that is measured once: what a text touches, each expert's share of the tokens, each head's largest logit."""
    ids_WT = windows(text)
    with torch.inference_mode():
        every = [model(ids_1T[:, :-1]).stats for ids_1T in ids_WT.split(1)]
    stats = every[0]
    for more in every[1:]:
        stats = stats.merge(more)
    share_LE = stats.expert_load_LE / ids_WT[:, 1:].numel()
    return {
        "made_by": "python -m runs.ablation", "weights": weights_sha256(data_folder()),
        "domains": list(text.tokens), "windows": WINDOWS, "length": LENGTH,
        "touched_at": list(TOUCHED_AT), "touched": touched(model, text), "stretches": STRETCHES,
        "share": [[round(float(x), 5) for x in row] for row in share_LE],
        "max_logits": [[round(float(x), 4) for x in row] for row in stats.max_logits_LH],
        **made_here(),
    }  # fmt: skip


def main(argv: list[str] | None = None) -> None:
    """Measure what is not there yet."""
    args = _arguments(argv)
    model, _ = km.load_mini()
    told = json.loads(args.out.read_text(encoding="utf-8")) if args.out.exists() else {}
    if told.get("weights") != weights_sha256(data_folder()):
        told = {}  # of another MINI
    done = told.get("loss", {})
    wanted = parts(model.config)[: args.first]
    missing = [part for part in wanted if part.name not in done]
    if args.list:
        print("\n".join(f"{'missing' if part in missing else 'done':8}{part.name}" for part in wanted))
        return
    if not missing:
        return
    text, began = corpus.load(), time.perf_counter()
    ids_WT = windows(text)
    told = told or facts(model, text) | {"seconds": 0.0}
    seconds = told["seconds"]
    for part in tqdm(missing, desc="parts"):
        with switched_off(model, part):
            done[part.name] = losses(model, ids_WT)
        write_json(args.out, told | {"seconds": round(seconds + time.perf_counter() - began, 1), "loss": done})


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", action="store_true", help="print the parts and stop")
    parser.add_argument("--first", type=int, metavar="N", help="only the first N parts (default: all)")
    parser.add_argument("--out", type=Path, default=FILE, metavar="FILE", help="default: %(default)s")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
