"""Let MINI learn from a verifier: a light SFT, then reinforcement learning, and a control beside it.

The task is to sort some of the given numbers: many answers are right, and a program marks them. MINI reads gold answers for
40 updates, then draws eight answers to a problem and learns from their marks alone, by the objective of K1.5 and K2. The
control spends the same time on more gold answers. All are asked the same held-out problems, once each at temperature 1.
The same command again goes on where the last one stopped (Ctrl-C and kill are safe).

examples:
  python -m kimi_mini rl                        a few minutes on two CPU cores; kept in runs/out/rl
  python -m kimi_mini rl --steps 100 --seed 1 --out runs/out/rl1
  python -m kimi_mini rl --loss grpo --no-control --out runs/out/grpo
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    number = {"type": int, "metavar": "N"}
    parser.add_argument("--out", default="runs/out/rl", metavar="FOLDER", help="where the run is kept (default: %(default)s)")
    parser.add_argument("--steps", default=60, help="iterations of 128 answers (default: %(default)s)", **number)
    parser.add_argument("--seed", default=0, help="fixes everything that is random (default: %(default)s)", **number)
    parser.add_argument("--loss", choices=("k2", "grpo"), default="k2", help="the objective (default: %(default)s)")
    parser.add_argument("--tau", type=float, default=0.1, metavar="X", help="pull to the old policy (default: %(default)s)")
    parser.add_argument(
        "--control", action=argparse.BooleanOptionalAction, default=True, help="also go on with SFT for the same time"
    )


def run(args: argparse.Namespace) -> None:
    import torch

    from ..rl.climb import CLIMB, climb_task, more_sft, start_in
    from ..rl.loop import Learning, reinforce

    out, task = Path(args.out), climb_task()
    config = dataclasses.replace(CLIMB, steps=args.steps, seed=args.seed, loss=args.loss, tau=args.tau)
    if out.exists() and not out.is_dir():
        raise ValueError(f"--out {out} is a file; expected a folder to keep the run in")
    torch.set_num_threads(1)  # MINI is small: a second thread mostly waits, and on a busy machine the first one with it
    print(f"a light SFT of MINI, then {config.steps} iterations of RL -> {out}", flush=True)
    start = start_in(out, task, config)
    reinforce(start.model, start.tokenizer, task, config, out)
    log = [json.loads(line) for line in (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    held = [(0, log[0]["held_out_at_start"])] + [(line["step"], line["held_out"]) for line in log if "held_out" in line]
    for step, found in held:
        share, drift = found["right"] / config.held_out, found["drift"]
        print(
            f"after {step:4} iterations {share:6.1%} of {config.held_out} held-out problems right, {drift:.2f} nats from start"
        )
    if args.control:
        start = start_in(out, task, config)
        updates = more_sft(start, task, config, sum(line["seconds"] for line in log) / start.seconds)
        right = Learning.start(start.model, start.tokenizer, task, config, out).measure().right
        print(f"control, {updates} updates more of SFT: {right / config.held_out:6.1%}")
