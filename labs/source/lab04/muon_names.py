"""Which parameters a Muon update is for."""

from __future__ import annotations

import random

import torch

import kimi_mini as km
from kimi_mini.labs import Case
from labs.course.exercise import Coding, Mistake, Variant
from labs.course.twist import twist

SOLUTION = '''
def muon_names(shapes):
    """The parameters that Muon learns; AdamW learns all others (Moonlight report, 2.2).

    shapes   dict: name of a parameter -> its shape, a list, as {n: list(p.shape) for n, p in model.named_parameters()}

        Muon    every matrix inside a block, such as "blocks.0.attn.q_up.weight": all projections, routers,
                experts (they lie in slabs of three or four axes; the last two are the matrix)
        AdamW   embedding and head ("embed.weight", "head.weight"),
                and whatever has one axis: the gains of the norms

    Returns the names of Muon's, a list, in the order of `shapes`.
    """
    names = []
    for name, shape in shapes.items():
        inside = name.startswith("blocks.")
        matrix = len(shape) >= 2
        if inside and matrix:
            names.append(name)
    return names
'''

PACKAGE = """
from kimi_mini.optim import learned_by_muon


def muon_names(shapes):
    return [name for name, shape in shapes.items() if learned_by_muon(name, shape)]
"""


def cases(seed: int) -> tuple[Case, ...]:
    """Parameters of two models of random size; in both, some matrices besides the routers have a side below 16."""
    rng = random.Random(seed)

    def case(name: str, dense: int) -> Case:
        config = km.NANO.replace(
            num_hidden_layers=dense + 1, first_k_dense_replace=dense, hidden_size=rng.choice((32, 48, 64)),
            q_lora_rank=rng.choice((20, 24, 28)), kv_lora_rank=rng.choice((8, 10, 12)), n_routed_experts=rng.choice((4, 8, 12)),
        )  # fmt: skip
        with torch.device("meta"):
            model = km.KimiMini(config)
        return Case(name, ({key: list(p.shape) for key, p in model.named_parameters()},))

    return case("one dense layer, one with experts", 1), case("two dense layers, one with experts", 2)


PRACTICE = Variant(
    "the report's",
    SOLUTION,
    cases,
    (
        Mistake(
            "embeddings on Muon",
            "inside and matrix",
            "matrix",
            "The embedding and the head are tables of tokens, not maps between spaces: they belong to AdamW.",
        ),
        Mistake(
            "norms on Muon",
            "inside and matrix",
            'name not in ("embed.weight", "head.weight")',
            "A gain of a norm is a vector and has no singular values: whatever has one axis belongs to AdamW.",
        ),
        Mistake(
            "expert slabs left out",
            "len(shape) >= 2",
            "len(shape) == 2",
            "The experts are missing. A slab of three or four axes is a stack of matrices, so Muon learns it.",
        ),
        Mistake(
            "routers left out",
            "inside and matrix",
            'inside and matrix and "router" not in name',
            "The router is a matrix inside a block like any other.",
        ),
    ),
)

MUON_NAMES = Coding(
    "muon_names",
    "Who is learned by Muon",
    minutes=7,
    difficulty=1,
    points=2,
    practice=PRACTICE,
    package=PACKAGE,
    twists=(
        twist(
            PRACTICE,
            "routers by AdamW",
            'The routers (names with "router" in them) are learned by AdamW.',
            ("all projections, routers,", "all projections,"),
            ("AdamW   embedding", 'AdamW   routers ("router" in the name),\n                embedding'),
            ("inside and matrix", 'inside and matrix and "router" not in name'),
            besides=("routers left out",),
        ),
        twist(
            PRACTICE,
            "no narrow ones",
            "A matrix with fewer than 16 rows or fewer than 16 columns is learned by AdamW.",
            (
                "every matrix inside a block, such as",
                "every matrix of 16 rows and 16 columns or more\n                inside a block, such as",
            ),
            ("AdamW   embedding", "AdamW   narrower matrices,\n                embedding"),
            ("matrix = len(shape) >= 2", "matrix = len(shape) >= 2 and min(shape[-2:]) >= 16"),
            besides=("routers left out",),
        ),
        twist(
            PRACTICE,
            "attention only",
            'Only the matrices of attention (names with ".attn." in them) are learned by Muon.',
            ("every matrix inside a block, such as", 'every matrix of attention (".attn." in its name), such as'),
            (
                ": all projections, routers,\n"
                "                experts (they lie in slabs of three or four axes; the last two are the matrix)\n",
                "\n",
            ),
            ("AdamW   embedding", "AdamW   all other matrices of the blocks,\n                embedding"),
            ("inside and matrix", 'inside and matrix and ".attn." in name'),
            besides=("embeddings on Muon", "expert slabs left out", "routers left out"),
        ),
        twist(
            PRACTICE,
            "head too",
            'The head ("head.weight"), which is a map from the model\'s width to the vocabulary, is learned by Muon too.',
            ("the last two are the matrix)\n", 'the last two are the matrix);\n                and the head, "head.weight"\n'),
            ('embedding and head ("embed.weight", "head.weight")', 'embedding ("embed.weight")'),
            ('inside = name.startswith("blocks.")', 'inside = name.startswith(("blocks.", "head."))'),
        ),
    ),
)
