"""Every row once: what is run, at which shapes, and what it should reach. C rows are for a CPU, G rows and T1 for a GPU."""

from __future__ import annotations

from . import attention, decode, moe, muon, train_step
from .gpu.rows import ROWS as GPU_ROWS
from .row import Goal, Row

_E32 = dict(width=256, hidden=128, experts=32, k=4)
_E384 = dict(width=128, hidden=32, experts=384, k=8)
_SMALL = dict(width=32, hidden=16, experts=8, k=2)
_BATCH = dict(batch=8, length=256)
_TOY_MODEL = dict(vocab=32, layers=2, heads=2, **_SMALL)


def _attention(length: int, batch: int, goals: dict[str, Goal]) -> Row:
    shape = dict(length=length, batch=batch, heads=8, qk_width=48, v_width=32)
    toy = dict(length=length // 8, batch=2, heads=2, qk_width=12, v_width=8)
    what = f"attention with exact maxima, forward + backward, {length} tokens x {batch}, 8 heads of 48/32"
    return Row(f"C2.{length}", what, attention.build, shape, toy, goals=goals)


def _moe(name: str, shape: dict[str, int], tokens: int, goals: dict[str, Goal], floor: float | None = None) -> Row:
    what = (
        "routed experts, forward + backward, {tokens} tokens, {experts} experts top-{k}, width {width}, expert width {hidden}"
    )
    shape = dict(tokens=tokens, **shape)
    toy = dict(tokens=24, **_SMALL)
    return Row(f"C1.{name}", what.format(**shape), moe.build, shape, toy, moe.work, goals, floor=floor)


def _step(name: str, vocab: int, shape: dict[str, int], goals: dict[str, Goal]) -> Row:
    what = "tiny DeepSeek-V3, forward + backward, 8 x 256 tokens, {experts} experts, vocabulary {vocab}".format(
        **shape, vocab=vocab
    )
    toy = dict(batch=2, length=12, **_TOY_MODEL)
    shape = dict(vocab=vocab, **_BATCH, **shape)
    return Row(f"C3.{name}", what, train_step.build, shape, toy, train_step.work, goals, 2e-6, 0.65)


def _decode(name: str, batch: int, prompt: int, new: int, goal: float) -> Row:
    what = f"tiny DeepSeek-V3, greedy decoding, batch {batch}, {prompt} + {new} tokens, vocabulary 8192"
    shape = dict(batch=batch, prompt=prompt, new=new, vocab=8192, **_E32)
    toy = dict(batch=2, prompt=5, new=4, **_TOY_MODEL)
    return Row(f"C4.{name}", what, decode.build, shape, toy, goals={decode.HF_DEFAULT: goal}, tolerance=0.0)


def _muon(name: str, what: str, fp32: bool, goals: dict[str, Goal]) -> Row:
    shape = dict(fp32=fp32, vocab=512, **_BATCH, **_E32)
    toy = dict(fp32=fp32, batch=2, length=12, **_TOY_MODEL)
    what = f"Muon step, 323 matrices, 11.3 M parameters, {what}"
    return Row(f"C5.{name}", what, muon.build, shape, toy, goals=goals, tolerance=None)


CPU_ROWS = (
    _moe("e32", _E32, 2048, {moe.HF_EAGER: 1.7, moe.HF_GROUPED: 1.1}, floor=0.75),
    _moe("e384", _E384, 2048, {moe.HF_EAGER: 20.0, moe.HF_GROUPED: 1.15}, floor=0.45),
    _moe("e64", dict(width=512, hidden=256, experts=64, k=8), 4096, {}),
    _attention(256, 8, {attention.EXPLICIT: 1.3, attention.SDPA: 1.1}),
    _attention(1024, 2, {attention.EXPLICIT: 2.9, attention.SDPA: 2.4}),
    _step("e32", 512, _E32, {train_step.HF_DEFAULT: 1.15, train_step.HF_EAGER: 1.4}),
    _step("e32.v8192", 8192, _E32, {train_step.HF_DEFAULT: 1.15, train_step.HF_EAGER: 1.4}),
    _step("e384", 512, _E384, {train_step.HF_DEFAULT: 1.15, train_step.HF_EAGER: 5.0, train_step.LOOP: 2.5}),
    _decode("b1", 1, 32, 48, 1.8),
    _decode("b64", 64, 32, 48, 2.5),
    _decode("ctx512", 32, 512, 64, 4.0),
    _muon("bf16", "as they come", False, {muon.TORCH: {1: 1.4, 2: 2.6}, muon.PASS: 1 / 0.35}),
    _muon("fp32", "both iterating in fp32", True, {muon.TORCH: 1.0}),
)


ROWS: tuple[Row, ...] = CPU_ROWS + GPU_ROWS
_GROUPS = {"cpu": CPU_ROWS, "gpu": GPU_ROWS}


def select(patterns: list[str]) -> list[Row]:
    """Rows whose id is, or begins with, one of the patterns (C3 takes C3.e32, ...); `cpu` and `gpu` take all of that device.

    All rows for no pattern. Raises ValueError for a pattern that fits no row.
    """
    for pattern in patterns:
        if not any(_fits(row, pattern) for row in ROWS):
            groups = ", ".join(sorted({row.id.partition(".")[0] for row in ROWS}, key=lambda name: (name[0], int(name[1:]))))
            raise ValueError(f"row = {pattern!r} is unknown; expected cpu, gpu, {groups}, or a row of one of these in full")
    return [row for row in ROWS if not patterns or any(_fits(row, pattern) for pattern in patterns)]


def _fits(row: Row, pattern: str) -> bool:
    return row.id == pattern or row.id.startswith(pattern + ".") or row in _GROUPS.get(pattern, ())
