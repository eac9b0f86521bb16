"""A policy, a tokenizer and a task so small that a run of RL takes a second; also run as a program, to be killed."""

import sys
from pathlib import Path

import torch

import kimi_mini as km
from kimi_mini.corpus import load_tokenizer
from kimi_mini.optim import OptimConfig
from kimi_mini.rl import Problem, Score
from kimi_mini.rl.config import RLConfig
from kimi_mini.rl.loop import reinforce


class Evens:
    """Write as many even digits as you can; of every answer there is something to say, so no group is all alike."""

    name = "evens"

    def problem(self, seed):
        return Problem(self.name, f"{self.name}-{seed}", ({"role": "user", "content": f"{seed}"},), {}, budget=3 + seed % 3)

    def score(self, problem, text):
        share = sum(ord(letter) % 2 == 0 for letter in text) / max(1, len(text))
        return Score(share, {"share": share})

    def gold(self, problem):
        return "2"

    def wrong(self, problem):
        return "1"


CONFIG = RLConfig(
    steps=6, problems=4, group=4, updates=2, micro_batch=8, pool=16, held_out=4, evaluate_every=2, checkpoint_every=2,
    penalty=None, ptx_weight=0.1, ptx_rows=2, temperature=1.2, final_temperature=0.8, optim=OptimConfig(lr=3e-3),
)  # fmt: skip


def policy():
    torch.manual_seed(0)
    tokenizer = load_tokenizer()
    return km.KimiMini(km.NANO.replace(vocab_size=tokenizer.vocab_size, initializer_range=0.1)), tokenizer


def run(folder, config=CONFIG):
    torch.set_num_threads(1)
    model, tokenizer = policy()
    text_NS = torch.randint(2000, (8, 12), generator=torch.Generator().manual_seed(0))
    return reinforce(model, tokenizer, Evens(), config, folder, text_NS=text_NS, progress=False)


if __name__ == "__main__":
    run(Path(sys.argv[1]))
