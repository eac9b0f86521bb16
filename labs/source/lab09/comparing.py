"""Filtered against unfiltered: as many tokens for both, held-out tools unseen, several seeds, one error bar."""

from __future__ import annotations

import random

from kimi_mini.labs import Case
from kimi_mini.labs.program import Program
from labs.course.exercise import Coding, Mistake, Variant
from labs.course.twist import twist

SOLUTION = '''
from statistics import mean, stdev


def compare(runs, held_out, seeds, shuffle, train):
    """Does a student of kept runs do better than one of runs as they came?

    runs       a list of {"id": number, "tools": the tools it uses, "tokens": how many it teaches, "kept": what a judge said}
    held_out   tools of the test
    seeds      at least two
    shuffle    shuffle(a list, seed) returns it in another order
    train      train(ids, seed) returns the score, on the held-out tools, of a student that learned from these runs

        fair        runs that use none of the held-out tools; nobody learns from another
        filtered    learns from all fair runs that were kept
        unfiltered  learns from fair runs, kept or not, shuffled by the seed: one after the other, up to the first that would
                    take it above the tokens of the filtered student
        order       the filtered runs are shuffled by the seed too
        error       of the mean of the differences (filtered minus unfiltered, seed by seed): their standard deviation (n - 1)
                    divided by the root of the number of seeds

    Returns a dict: "filtered" and "unfiltered", the scores in the order of `seeds`, "mean" and "error" of the differences.
    """
    fair = [run for run in runs if not set(run["tools"]) & set(held_out)]
    kept = [run for run in fair if run["kept"]]
    tokens = sum(run["tokens"] for run in kept)

    def up_to(found):
        chosen, spent = [], 0
        for run in found:
            spent += run["tokens"]
            if spent > tokens:
                break
            chosen.append(run["id"])
        return chosen

    filtered = [train(up_to(shuffle(kept, seed)), seed) for seed in seeds]
    unfiltered = [train(up_to(shuffle(fair, seed)), seed) for seed in seeds]
    gains = [a - b for a, b in zip(filtered, unfiltered)]
    error = stdev(gains) / len(gains) ** 0.5
    return {"filtered": filtered, "unfiltered": unfiltered, "mean": mean(gains), "error": error}
'''

PACKAGE = """
import itertools

import torch


def compare(runs, held_out, seeds, shuffle, train):
    fair = [run for run in runs if not any(tool in held_out for tool in run["tools"])]
    kept = [run for run in fair if run["kept"]]
    tokens = sum(run["tokens"] for run in kept)
    scores = {"filtered": [], "unfiltered": []}
    for seed in seeds:
        for name, pool in (("filtered", kept), ("unfiltered", fair)):
            order = shuffle(pool, seed)
            spent = itertools.accumulate(run["tokens"] for run in order)
            scores[name].append(train([run["id"] for run, sum_ in zip(order, spent) if sum_ <= tokens], seed))
    gains = torch.tensor(scores["filtered"], dtype=torch.float64) - torch.tensor(scores["unfiltered"], dtype=torch.float64)
    return {**scores, "mean": gains.mean().item(), "error": (gains.std() / len(seeds) ** 0.5).item()}
"""

_SHUFFLE = """
def shuffle(items, seed):
    return [item for _, item in sorted(enumerate(items), key=lambda one: ((one[0] + 1) * (2 * seed + 1) * 7919 % 104729))]
"""

# A score that depends on the seed, on each run that is learned, and on their order.
_TRAIN = """
def train(ids, seed):
    told = sum((place + 2) * (number + 3) for place, number in enumerate(ids)) % 211
    return round(len(ids) / 100 + told / 1000 + seed * len(ids) / 5000, 6)
"""

_TOOLS = "search order cancel refund note move".split()


def cases(seed: int) -> tuple[Case, ...]:
    """Runs of several lengths, about half of them kept; some use a held-out tool; two seeds, three and five."""
    rng = random.Random(seed)

    def case(name: str, number: int, seeds: int, held_out: list[str], share: float) -> Case:
        runs = [
            {
                "id": place,
                "tools": rng.sample(_TOOLS, rng.randint(1, 2)),
                "tokens": rng.randint(20, 90),
                "kept": rng.random() < share or place % 5 == 0,
            }
            for place in range(number)
        ]
        return Case(name, (runs, held_out, rng.sample(range(50), seeds), Program(_SHUFFLE), Program(_TRAIN)))

    return (
        case("three seeds", 30, 3, [], 0.5),
        case("one tool is held out", 40, 3, [rng.choice(_TOOLS)], 0.5),
        case("two tools are held out, five seeds", 60, 5, rng.sample(_TOOLS, 2), 0.4),
        case("few are kept", 50, 4, [rng.choice(_TOOLS)], 0.1),
        case("two seeds", 40, 2, [rng.choice(_TOOLS)], 0.6),
    )


_UNFILTERED = "unfiltered = [train(up_to(shuffle(fair, seed)), seed) for seed in seeds]"
_ERROR = "error = stdev(gains) / len(gains) ** 0.5"
_LATER = "        error       of the mean of the differences"

PRACTICE = Variant(
    "as many tokens",
    SOLUTION,
    cases,
    (
        Mistake(
            "unequal sizes",
            _UNFILTERED,
            'unfiltered = [train([run["id"] for run in shuffle(fair, seed)], seed) for seed in seeds]',
            "The unfiltered student learned from everything. Both may learn from as many tokens.",
        ),
        Mistake(
            "held-out tools seen",
            'fair = [run for run in runs if not set(run["tools"]) & set(held_out)]',
            "fair = list(runs)",
            "A student has seen the held-out tools. Runs that use one of them are nobody's to learn from.",
        ),
        Mistake(
            "one seed",
            "    fair = [run",
            "    seeds = seeds[:1] * len(seeds)\n    fair = [run",
            "One seed was used for all. Every seed of the list is trained with.",
        ),
        Mistake(
            "as many runs",
            _UNFILTERED,
            'unfiltered = [train([run["id"] for run in shuffle(fair, seed)][: len(kept)], seed) for seed in seeds]',
            "Both learned from as many runs. Runs differ in length; as many tokens are asked for.",
        ),
        Mistake(
            "one token too many",
            "if spent > tokens:",
            "if spent - run['tokens'] > tokens:",
            "A run was read that takes the student above the tokens. It is left out, and so is all behind it.",
        ),
        Mistake(
            "not shuffled",
            _UNFILTERED,
            "unfiltered = [train(up_to(fair), seed) for seed in seeds]",
            "The unfiltered runs were not shuffled: every seed learned from the same ones.",
        ),
        Mistake(
            "held out of the filtered only",
            _UNFILTERED,
            "unfiltered = [train(up_to(shuffle(runs, seed)), seed) for seed in seeds]",
            "The unfiltered student has seen the held-out tools, and the filtered one has not.",
        ),
        Mistake(
            "scatter for error",
            _ERROR,
            "error = stdev(gains)",
            "That is the scatter of the differences. The error of their mean is smaller by the root of their number.",
        ),
        Mistake(
            "errors of two lists",
            _ERROR,
            "error = ((stdev(filtered) ** 2 + stdev(unfiltered) ** 2) / len(gains)) ** 0.5",
            "The scatter of each list was used. The seeds are the same for both, so take the differences first.",
        ),
    ),
)

COMPARE = Coding(
    "compare",
    "Filtered against unfiltered",
    minutes=20,
    difficulty=2,
    points=3,
    practice=PRACTICE,
    package=PACKAGE,
    twists=(
        twist(
            PRACTICE,
            "as many runs",
            "Both learn from as many runs, whatever their length: the unfiltered student from the first ones of its shuffled "
            "list.",
            (
                "fair runs, kept or not, shuffled by the seed: one after the other, up to the first that would\n"
                "                    take it above the tokens of the filtered student\n",
                "fair runs, kept or not, shuffled by the seed: the first ones, as many as there are filtered\n"
                "                    runs\n",
            ),
            (
                _UNFILTERED,
                'unfiltered = [train([run["id"] for run in shuffle(fair, seed)[: len(kept)]], seed) for seed in seeds]',
            ),
            besides=("one token too many",),
            also=(
                Mistake(
                    "unequal sizes",
                    "shuffle(fair, seed)[: len(kept)]]",
                    "shuffle(fair, seed)]",
                    "The unfiltered student learned from everything. Both may learn from as many runs.",
                ),
                Mistake(
                    "one run more",
                    "[: len(kept)]]",
                    "[: len(kept) + 1]]",
                    "The unfiltered student learned from one run more.",
                ),
                Mistake(
                    "held out of the filtered only",
                    "shuffle(fair, seed)[: len(kept)]]",
                    "shuffle(runs, seed)[: len(kept)]]",
                    "The unfiltered student has seen the held-out tools, and the filtered one has not.",
                ),
            ),
        ),
        twist(
            PRACTICE,
            "against the refused",
            "The other student learns only from fair runs that were *not* kept, one after the other, up to the first that "
            "would take it above the tokens of the filtered student.",
            (
                "learns from fair runs, kept or not, shuffled by the seed:",
                "learns from fair runs that were not kept, shuffled by the seed:",
            ),
            (_UNFILTERED, _UNFILTERED.replace("shuffle(fair, seed)", 'shuffle([r for r in fair if not r["kept"]], seed)')),
            also=(
                Mistake(
                    "kept ones too",
                    'shuffle([r for r in fair if not r["kept"]], seed)',
                    "shuffle(fair, seed)",
                    "The other student learned from kept runs. Only refused ones are for it.",
                ),
                Mistake(
                    "held-out tools seen by the other",
                    '[r for r in fair if not r["kept"]]',
                    '[r for r in runs if not r["kept"]]',
                    "The other student has seen the held-out tools.",
                ),
            ),
            cases=lambda seed: cases(seed)[:2] + cases(seed)[3:4] + cases(seed)[2:3] + cases(seed)[4:],
        ),
        twist(
            PRACTICE,
            "half the tokens",
            "Both students may learn from half of the tokens of the kept runs, rounded down, and stop before the first run "
            "that would take them above.",
            (
                "        filtered    learns from all fair runs that were kept\n",
                "        budget      half of the tokens of all fair runs that were kept, rounded down\n"
                "        filtered    learns from fair runs that were kept, one after the other, up to the first that "
                "would take it\n                    above the budget\n",
            ),
            ("take it above the tokens of the filtered student\n", "take it above the budget\n"),
            ('tokens = sum(run["tokens"] for run in kept)', 'tokens = sum(run["tokens"] for run in kept) // 2'),
            also=(
                Mistake(
                    "the filtered reads all",
                    "filtered = [train(up_to(shuffle(kept, seed)), seed) for seed in seeds]\n    unfiltered",
                    'filtered = [train([run["id"] for run in shuffle(kept, seed)], seed) for seed in seeds]\n    unfiltered',
                    "The filtered student learned from all kept runs. It has the same half to spend.",
                ),
            ),
        ),
    ),
)
