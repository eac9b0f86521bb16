"""What a model costs: parameters, FLOPs, cache and memory, by arithmetic alone.

examples:
  python -m kimi_mini account                                   Kimi K2 as released
  python -m kimi_mini account deepseek-v3 --context 131072
  python -m kimi_mini account path/to/config.json --json
  python -m kimi_mini account k2 --pipeline 16 --expert 16      training states on each GPU
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

from .. import accounting as acc
from ..config import ModelConfig
from ..presets import PRESETS

_CACHES = {"mla": "MLA, as here", "mha": "MHA, same heads", "gqa": "GQA, 8 kv heads", "mqa": "MQA, 1 kv head"}
_EXTREMES = ((max, "heaviest"), (min, "lightest"))
# What the report prints, beside what the released config gives (K2 report, Tables 2 and 4).
_REPORTED = {"k2": "The K2 report says 1.04T in all (1043B in Table 4) and 32.6B activated; its convention is not stated."}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model", nargs="?", default="k2", help=f"{', '.join(PRESETS)}, or a config.json or its folder (default: %(default)s)"
    )
    parser.add_argument("--context", type=int, metavar="N", help="tokens of context (default: 4096, or all the model has)")
    parser.add_argument("--pipeline", type=int, default=1, metavar="N", help="pipeline stages")
    parser.add_argument("--expert", type=int, default=1, metavar="N", help="ranks the experts are split over")
    parser.add_argument("--data", type=int, default=1, metavar="N", help="data-parallel replicas of all that")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> None:
    config = find_config(args.model)
    context = min(4096, config.max_position_embeddings) if args.context is None else args.context
    facts = account(config, context, acc.Layout(args.pipeline, args.expert, args.data))
    if args.json:
        print(json.dumps(facts, indent=2))
    else:
        print("\n\n".join((_parameters(args.model, facts), _flops(facts), _cache(facts), _memory(facts))))


def find_config(name: str) -> ModelConfig:
    """A preset by name, or a Hugging Face config by path."""
    if name in PRESETS:
        return PRESETS[name]
    if not Path(name).exists():
        raise ValueError(f"model = {name!r} will not do; expected {', '.join(PRESETS)}, or the path of a config.json")
    return ModelConfig.from_hf(name)


def account(config: ModelConfig, context: int, layout: acc.Layout) -> dict[str, Any]:
    """Everything `accounting` knows of `config`, as one JSON-ready dict."""
    count = acc.count_parameters(config)
    flops = {
        "training": acc.training_flops(config, context),
        "prefill": acc.prefill_flops(config, context),
        "decode, absorbed": acc.decode_flops(config, context, "absorbed"),
        "decode, expanded": acc.decode_flops(config, context, "expanded"),
    }
    return {
        "parameters": {
            "blocks": {block.name: {"total": block.total, "activated": block.activated} for block in count.blocks},
            "total": count.total,
            "activated": count.activated,
            "activated_without_embedding": count.activated_without_embedding,
            "activated_without_embedding_and_head": count.activated_without_embedding_and_head,
        },
        "context": context,
        "flops_per_token": {name: dataclasses.asdict(f) | {"total": f.total} for name, f in flops.items()},
        "cache": {
            kind: {
                "elements_per_token_and_layer": acc.cache_elements(config, kind),
                "bytes_per_token": acc.cache_bytes(config, 1, kind),
                "bytes_at_context": acc.cache_bytes(config, context, kind),
            }
            for kind in _CACHES
        },
        "layout": dataclasses.asdict(layout),
        "memory_per_gpu": [dataclasses.asdict(s) | {"total": s.total} for s in acc.memory_per_gpu(config, layout)],
    }


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Text in columns: the first to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [
        (row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))) for row in (head, *rows)
    ]
    return "\n".join("  ".join(line) for line in lines)


def _parameters(model: str, facts: dict[str, Any]) -> str:
    p = facts["parameters"]
    rows = [(name, f"{b['total']:,}", f"{b['activated']:,}") for name, b in p["blocks"].items()]
    rows += [
        ("all", f"{p['total']:,}", f"{p['activated']:,}"),
        ("  without the input embedding", "", f"{p['activated_without_embedding']:,}"),
        ("  without embedding and head", "", f"{p['activated_without_embedding_and_head']:,}"),
    ]
    note = f"\n{_REPORTED[model]}" if model in _REPORTED else ""
    return _table((f"Parameters of {model}", "stored", "used by one token"), rows) + note


def _flops(facts: dict[str, Any]) -> str:
    rows = [
        (name, *(f"{f[part]:.3e}" for part in ("weights", "attention", "total")))
        for name, f in facts["flops_per_token"].items()
    ]
    table = _table((f"FLOPs per token, {facts['context']:,} tokens", "weights", "attention", "total"), rows)
    return (
        f"{table}\nA multiply-add is 2. Weights without the input embedding. Training is forward and twice that backward,\n"
        "nothing recomputed; training and prefill are means over a causal text of that length, decode has all of it behind it."
    )


def _cache(facts: dict[str, Any]) -> str:
    rows = [
        (_CACHES[kind], f"{c['elements_per_token_and_layer']:,}", f"{c['bytes_per_token']:,}", _bytes(c["bytes_at_context"]))
        for kind, c in facts["cache"].items()
    ]
    return _table(("Cache in bf16", "elements/token/layer", "bytes/token", f"{facts['context']:,} tokens"), rows)


def _memory(facts: dict[str, Any]) -> str:
    stages, layout = facts["memory_per_gpu"], facts["layout"]
    totals = [stage["total"] for stage in stages]
    named = {f"stage {totals.index(pick(totals))} ({word})": totals.index(pick(totals)) for pick, word in _EXTREMES}
    rows = [
        (name, *(_bytes(stages[i][part]) for part in ("weights", "gradients", "optimizer", "total")))
        for name, i in (named if len(stages) > 1 else {"every GPU": 0}).items()
    ]
    gpus = layout["pipeline"] * layout["expert"] * layout["data"]
    return (
        _table((f"Training states on {gpus:,} GPU{'s' * (gpus > 1)}", "weights", "gradients", "optimizer", "total"), rows)
        + f"\nPipeline {layout['pipeline']} x expert {layout['expert']} x data {layout['data']}. bf16 weights, fp32 gradients, "
        "fp32 master weight and momentum\nsharded over every rank that holds a copy. Activations are not in it."
    )


def _bytes(n: float) -> str:
    """In binary units: 1 GiB = 2^30 bytes."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if n < 1024:
            return f"{n:,.0f} B" if unit == "B" else f"{n:,.2f} {unit}"
        n /= 1024
    return f"{n:,.2f} TiB"
