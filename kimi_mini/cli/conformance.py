"""Check somebody's Muon, QK-Clip or MuonClip by what it does.

CALLABLE is `package.module:callable`, found from the current folder like any import. It follows a small protocol, usually
through an adapter of about ten lines; only its behaviour on synthetic heads counts, never its names or its source:

  --kind muon        make(params, *, lr, weight_decay, momentum) -> a torch optimizer
  --kind max-logits  max_logits(micro_batches, scale) -> [heads];  micro_batches: a list of (q_BTHN, k_BTGN)
  --kind qk-clip     clip(weights, max_logits_H, tau, layout): writes into the dict of weights, or returns a new one
  --kind muonclip    make(weights, layout, *, lr, weight_decay, momentum, tau) -> step;  step(micro_batches)

kimi_mini/conformance/suite.py tells more of it, heads.py which weights a layout has, adapters.py has examples. muonclip
looks at the update only roughly: check its optimizer with --kind muon as well.

Exit status 0 if all checks passed, 1 if some failed, 2 for bad input. The code is imported and runs with your own rights,
without a sandbox and without a time limit: check only code that you would run anyway.

examples:
  python -m kimi_mini conformance kimi_mini.conformance.adapters:torch_muon --kind muon
  python -m kimi_mini conformance my_clip:adapter --kind qk-clip --layout gqa --weights fused
  python -m kimi_mini conformance my_clip:adapter --kind qk-clip --layout mla --no-q-latent --json report.json
"""

from __future__ import annotations

import argparse

_KINDS = ("muon", "max-logits", "qk-clip", "muonclip")
_LAYOUTS = ("mha", "gqa", "mla")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("callable", metavar="CALLABLE", help="what is to be checked, as package.module:callable")
    parser.add_argument("--kind", choices=_KINDS, required=True, help="what it claims to be")
    parser.add_argument(
        "--layout", choices=_LAYOUTS, default="mla", help="the attention it is for; muon has none (default: %(default)s)"
    )
    parser.add_argument(
        "--weights",
        choices=("fused", "split"),
        help="one matrix for several jobs, or one each (default: as released, fused for mla and split for the others)",
    )
    parser.add_argument(
        "--q-latent", action=argparse.BooleanOptionalAction, default=True, help="mla with a query latent, or without"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="draws the heads (default: %(default)s)")
    parser.add_argument("--json", metavar="FILE", help="write the report there as well, for programs")


def run(args: argparse.Namespace) -> int:
    import json
    from pathlib import Path

    from ..conformance import Layout, conformance, load

    mla = args.layout == "mla"
    fused = mla if args.weights is None else args.weights == "fused"
    layout = Layout(args.layout, fused, args.q_latent)
    report = conformance(load(args.callable), args.kind, layout, name=args.callable, seed=args.seed)
    print(report)
    if args.json:
        Path(args.json).write_text(json.dumps(report.to_dict(), indent=1) + "\n", encoding="utf-8")
    return 0 if report.passed else 1
