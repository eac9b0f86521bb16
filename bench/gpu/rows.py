"""The rows for a GPU, at shapes of MINI, Moonlight and K2 and at those of published figures.

Goals and shares of the floor were set from published figures of the peers on an H100, before anything was measured here.
"""

from __future__ import annotations

from ..row import Row
from . import attention, decode, elementwise, experts, fp8, loss, optimizer, orthogonal, rollouts, router, training

_16_BIT = 1e-2  # relative error of a gradient in bf16


def _row(name: str, what: str, module_build, cost, shape: dict, toy: dict, **more) -> Row:
    return Row(name, what.format(**shape), module_build, shape, toy, cost, device="cuda", **more)


# ---- attention -------------------------------------------------------------------------------------------------------

_K2_HEADS = dict(qk_width=192, v_width=128)
_ATTENTION_TOY = dict(length=17, batch=1, heads=2, qk_width=24, v_width=16)
_HEADS = {
    "mini": dict(length=2048, batch=16, heads=6, qk_width=48, v_width=32),
    "s4k.h16": dict(length=4096, batch=1, heads=16, **_K2_HEADS),
    "s8k.h16": dict(length=8192, batch=1, heads=16, **_K2_HEADS),
    "s4k.h64": dict(length=4096, batch=1, heads=64, **_K2_HEADS),
    "s8k.h64": dict(length=8192, batch=1, heads=64, **_K2_HEADS),
}


def _forward(name: str) -> Row:
    what = "attention with exact maxima, forward, {batch} x {length} tokens, {heads} heads of {qk_width}/{v_width}"
    goals = {} if name == "mini" else {attention.FLEX: 1.15, attention.SDPA: 1.3}
    floor = 0.6 if name.startswith("s8k") else None
    return _row(
        f"G1.{name}", what, attention.build, attention.work, _HEADS[name], _ATTENTION_TOY, goals=goals,
        tolerance={"out": 5e-3, "maximum": 1e-3}, floor=floor,
    )  # fmt: skip


def _overhead(name: str) -> Row:
    what = "what the maximum costs: attention forward with and without it, {batch} x {length} tokens, {heads} heads"
    return _row(
        f"G2.{name}", what, attention.build_overhead, attention.work, _HEADS[name], _ATTENTION_TOY,
        goals={attention.PLAIN: 0.98}, tolerance={"out": 5e-3, "maximum": 1e-3, "bits that differ": 0.0},
    )  # fmt: skip


def _attention_backward(name: str) -> Row:
    what = "attention, backward, {batch} x {length} tokens, {heads} heads of {qk_width}/{v_width}"
    goals = {} if name == "mini" else {attention.FLEX: 1.1}
    return _row(
        f"G3.{name}", what, attention.build, attention.work, _HEADS[name] | dict(backward=1),
        _ATTENTION_TOY | dict(backward=1), goals=goals, tolerance=_16_BIT, floor=None if name == "mini" else 0.5,
    )  # fmt: skip


def _decode(name: str, goal_expand: float | None, floor: float | None, **shape: int) -> Row:
    what = "absorbed decoding, {batch} sequences, {context} tokens in the cache, {heads} heads"
    what += ", lengths from 1/{batch} to all of it" if shape.get("ragged") else ""
    toy = dict(batch=2, context=21, heads=3, latent=16, rope=8, nope=16, value=16, ragged=shape.get("ragged", 0))
    goals = {decode.TORCH: 2.0} | ({decode.EXPAND: goal_expand} if goal_expand else {})
    return _row(
        f"G4.{name}", what, decode.build, decode.work, shape, toy, goals=goals if floor else {},
        tolerance={"latent": 5e-3, "values": 5e-3, "other splits": 5e-3}, floor=floor,
    )  # fmt: skip


# ---- experts ---------------------------------------------------------------------------------------------------------

_E128 = dict(experts=128, k=8, width=2048, hidden=768)
_MOONLIGHT = dict(tokens=16384, experts=64, k=6, width=2048, hidden=1408)
_EXPERTS_TOY = dict(tokens=6, experts=4, k=2, width=16, hidden=8)


def _experts(name: str, shape: dict[str, int], *, backward: int, zipf: int = 0, goals: bool = True) -> Row:
    what = "routed experts, {tokens} tokens, {experts} experts top-{k}, width {width}, expert width {hidden}, "
    what += ("forward + backward" if backward else "forward") + (", loads by Zipf's law" if zipf else "")
    modes = dict(backward=backward, zipf=zipf)
    ship = {experts.GROUPED: 1.3, experts.LIGER: 1.1, experts.HF_EAGER: 5.0}
    return _row(
        f"G5.{name}.{'both' if backward else 'forward'}", what, experts.build, experts.work, shape | modes,
        _EXPERTS_TOY | modes, goals=ship if goals else {}, floor=(0.48 if backward else 0.55) if goals and not zipf else None,
        tolerance={name: _16_BIT for name in ("out", "dx", "dgate", "dW gate_up", "dW down")} | {"waits for the GPU": 0.0},
    )  # fmt: skip


def _route(name: str, tokens: int, experts: int, k: int, *, sort: int = 0, limit_us: float | None = None) -> Row:
    what = "sorting assignments by expert, " if sort else "router: sigmoid, bias, top-{k}, renormalised weights, "
    shape = dict(tokens=tokens, experts=experts, k=k, sort=sort)
    tolerance = {"order": 0.0, "ends": 0.0} if sort else {"experts": 0.0, "weights": 1e-6}
    return _row(
        f"G6.{'sort' if sort else 'route'}.{name}", what + "{tokens} tokens, {experts} experts", router.build, router.work,
        shape, dict(tokens=9, experts=12, k=3, sort=sort), goals={router.CHAIN: 5.0, router.COMPILED: 2.0},
        tolerance=tolerance | {"waits for the GPU": 0.0}, limit_ms=limit_us and limit_us / 1e3,
    )  # fmt: skip


# ---- optimizer -------------------------------------------------------------------------------------------------------

_NS_TOY = dict(matrices=1, rows=5, columns=12)


def _orthogonal(
    name: str, matrices: int, rows: int, columns: int, *, fp16: int = 1, goal: float | None = None, limit: float | None = 2e-2
) -> Row:
    what = "Newton-Schulz, five steps in {}, {{matrices}} matrices of {{rows}} x {{columns}}".format("fp16" if fp16 else "bf16")
    shape = dict(matrices=matrices, rows=rows, columns=columns, fp16=fp16)
    return _row(
        f"G7.ns.{name}.{'fp16' if fp16 else 'bf16'}", what, orthogonal.build, orthogonal.work, shape, _NS_TOY | dict(fp16=fp16),
        goals={orthogonal.BMM: goal} if goal else {}, floor=0.65 if goal else None, tolerance=limit,
    )  # fmt: skip


def _product(name: str, matrices: int, rows: int, columns: int, goal: float | None) -> Row:
    shape = dict(matrices=matrices, rows=rows, columns=columns)
    return _row(
        f"G7.product.{name}", "X X^T, {matrices} matrices of {rows} x {columns}", orthogonal.build_product,
        orthogonal.product_work, shape, _NS_TOY, goals={orthogonal.BMM: goal} if goal else {}, floor=0.6 if goal else None,
        tolerance={"product": _16_BIT, "entries that differ from their mirror": 0.0},
    )  # fmt: skip


def _muon(name: str, matrices: int, rows: int, columns: int, goal: float | None = 4.0) -> Row:
    shape = dict(matrices=matrices, rows=rows, columns=columns)
    return _row(
        f"G8.{name}", "MuonClip step, {matrices} experts' matrices of {rows} x {columns}, fp32 weights", optimizer.build, None,
        shape, dict(matrices=3, rows=12, columns=20), goals={optimizer.TORCH: goal} if goal else {}, tolerance=None,
    )  # fmt: skip


# ---- rows ------------------------------------------------------------------------------------------------------------


_NORM_SHAPES = (("k2", 16384, 7168, True), ("moonlight", 65536, 2048, True), ("mini", 65536, 192, False))
_SWIGLU_SHAPES = (("k2", 65536, 2048, True), ("moonlight", 98304, 1408, True), ("mini", 65536, 48, False))


def _norm(name: str, tokens: int, width: int, *, residual: int = 0, backward: int = 0, goals: bool = True) -> Row:
    kind = ("add" if residual else "norm") + (".backward" if backward else "")
    what = "RMSNorm" + (" of the sum with a residual" if residual else "") + (", backward" if backward else "")
    shape = dict(tokens=tokens, width=width, residual=residual, backward=backward)
    ship = {elementwise.LIGER: 2.0} if backward else {elementwise.STOCK: 1.0, elementwise.COMPILED: 1.0, elementwise.LIGER: 1.0}
    limits = dict(dx=_16_BIT, dresidual=_16_BIT, dweight=1e-3) if backward else dict(norm=_16_BIT, sum=_16_BIT)
    return _row(
        f"G9.{kind}.{name}", what + ", {tokens} rows of {width}", elementwise.build_norm, elementwise.norm_work, shape,
        dict(tokens=11, width=48, residual=residual, backward=backward), goals=ship if goals else {}, tolerance=limits,
        floor=(0.75 if backward else 0.92) if goals else None,
    )  # fmt: skip


def _swiglu(name: str, tokens: int, hidden: int, *, backward: int = 0, goals: bool = True) -> Row:
    shape = dict(tokens=tokens, hidden=hidden, backward=backward)
    best = 1.5 if backward else 0.98
    return _row(
        f"G10.{'backward' if backward else 'forward'}.{name}",
        "SwiGLU's elementwise half, " + ("backward" if backward else "forward") + ", {tokens} rows of {hidden}",
        elementwise.build_swiglu, elementwise.swiglu_work, shape, dict(tokens=9, hidden=40, backward=backward),
        goals={elementwise.LIGER: best, elementwise.COMPILED: 0.98} if goals else {}, tolerance=_16_BIT,
        floor=(0.85 if backward else 0.93) if goals else None,
    )  # fmt: skip


def _loss(name: str, tokens: int, width: int, vocab: int, *, goals: bool = True) -> Row:
    fastest = {peer: 1.0 for peer in (loss.LIGER, loss.CCE, loss.FLA)} | {loss.PLAIN: 1.2}
    return _row(
        f"G11.{name}", "linear + cross-entropy, forward + backward, {tokens} tokens, width {width}, vocabulary {vocab}",
        loss.build, loss.work, dict(tokens=tokens, width=width, vocab=vocab), dict(tokens=13, width=16, vocab=70),
        goals=fastest if goals else {}, floor=0.75 if goals else None,
        tolerance={"loss": 1e-4, "dX": _16_BIT, "dW": _16_BIT, "extra GB": 1.0},
    )  # fmt: skip


def _fp8(name: str, op: int, tokens: int, width: int, floor: float | None) -> Row:
    what = {
        fp8.QUANTIZE: "FP8 with a scale per 1x128", fp8.DEQUANTIZE: "FP8 back to bf16", fp8.SWIGLU: "SwiGLU, written in FP8"
    }[op]  # fmt: skip
    limits = {"codes": 1e-3, "scales": 1e-6} if op == fp8.SWIGLU else dict.fromkeys(("codes", "scales", "values"), 0.0)
    return _row(
        f"G12.{name}", what + ", {tokens} rows of {width}", fp8.build, fp8.cost, dict(tokens=tokens, width=width, op=op),
        dict(tokens=17, width=256, op=op), goals={fp8.TORCH: 6.0, fp8.TORCHAO: 1.0} if floor else {}, floor=floor,
        tolerance=limits,
    )  # fmt: skip


# ---- a whole model ---------------------------------------------------------------------------------------------------

ONE_B = dict(
    vocab=32768, layers=12, width=1024, heads=8, experts=64, k=6, hidden=448
)  # 1.11 B weights, 0.17 B of them active without embedding and head
_HALF_B = ONE_B | dict(layers=6)
_TINY = dict(vocab=2048, layers=2, width=32, heads=2, experts=8, k=2, hidden=16, nope=16, rope=8, value=16, latent=24)


def _train(name: str, compile: int) -> Row:
    shape = dict(batch=4, length=2048, micro_batches=2, compile=compile, **ONE_B)
    peer = training.HF_COMPILED if compile else training.HF
    return _row(
        f"G13.{name}", "training step with MuonClip, the model of 1.1 B, {micro_batches} x {batch} x {length} tokens",
        training.build, training.work, shape, dict(batch=2, length=12, micro_batches=2, compile=compile, **_TINY),
        goals={peer: 2.0}, floor=0.35, tolerance=1e-2,
    )  # fmt: skip


def _rollouts(batch: int, goal: float, static: int = 0) -> Row:
    shape = dict(batch=batch, prompt=128, new=128, static=static, **ONE_B)
    what = "greedy answers of the model of 1.1 B in bf16, batch {batch}, {prompt} + {new} tokens"
    what += ", beside a compiled static cache" if static else ""
    return _row(
        f"G14.b{batch}" + (".static" if static else ""), what, rollouts.build, rollouts.work, shape,
        dict(batch=3, prompt=7, new=6, static=0, **_TINY), goals={rollouts.HF_STATIC if static else rollouts.HF: goal},
        floor=0.6 if batch >= 64 else None, tolerance=_16_BIT,
    )  # fmt: skip


ROWS: tuple[Row, ...] = (
    *map(_forward, _HEADS),
    *map(_overhead, ("s4k.h16", "s8k.h64")),
    *map(_attention_backward, ("mini", "s4k.h16", "s8k.h16", "s8k.h64")),
    _decode("mini", None, None, batch=64, context=2048, heads=6, latent=64, rope=16, nope=32, value=32),
    _decode("b32.4k.h64", 10.0, None, batch=32, context=4096, heads=64),
    _decode("b128.4k.h16", 10.0, 0.85, batch=128, context=4096, heads=16),
    _decode("b128.4k.h64", 10.0, 0.85, batch=128, context=4096, heads=64),
    _decode("b32.64k.h64", 10.0, 0.85, batch=32, context=65536, heads=64),
    _decode("ragged.h64", None, 0.85, batch=64, context=32768, heads=64, ragged=1),
    *(
        _experts(name, shape, backward=backward, zipf=zipf, goals=goals)
        for name, shape, zipf, goals in (
            ("mini", dict(tokens=16384, experts=32, k=4, width=192, hidden=48), 0, False),
            ("e128.t8k", dict(tokens=8192, **_E128), 0, True),
            ("e128.t32k", dict(tokens=32768, **_E128), 0, True),
            ("e128.t32k.zipf", dict(tokens=32768, **_E128), 1, True),
            ("moonlight", _MOONLIGHT, 0, True),
            ("k2.slice", dict(tokens=8192, experts=96, k=2, width=7168, hidden=2048), 0, False),
        )
        for backward in (0, 1)
    ),
    _route("k2", 16384, 384, 8, limit_us=15),
    _route("moonlight", 16384, 64, 6),
    _route("mini", 16384, 32, 4),
    _route("k2", 16384, 384, 8, sort=1, limit_us=20),
    _route("moonlight", 16384, 64, 6, sort=1),
    _product("2048x2048", 1, 2048, 2048, None),
    _product("2048x7168", 8, 2048, 7168, 1.6),
    _product("1408x2048", 64, 1408, 2048, 1.6),
    _orthogonal("2048x2048", 8, 2048, 2048, goal=1.35),
    _orthogonal("2048x7168", 8, 2048, 7168, goal=1.9),
    _orthogonal("2048x7168", 8, 2048, 7168, fp16=0, goal=1.35, limit=None),
    _orthogonal("1408x2048", 64, 1408, 2048, goal=1.35),
    _orthogonal("768x2048", 64, 768, 2048, goal=1.35),
    _orthogonal("mini", 64, 48, 192),
    _muon("moonlight", 64, 1408, 2048),
    _muon("e384", 384, 768, 2048),
    _muon("mini", 64, 48, 192, None),
    *(
        _norm(name, tokens, width, residual=residual, backward=backward, goals=goals)
        for name, tokens, width, goals in _NORM_SHAPES
        for residual, backward in ((0, 0), (0, 1), (1, 0), (1, 1))
    ),
    *(
        _swiglu(name, tokens, hidden, backward=backward, goals=goals)
        for name, tokens, hidden, goals in _SWIGLU_SHAPES
        for backward in (0, 1)
    ),
    _loss("moonlight", 8192, 2048, 163840),
    _loss("k2", 4096, 7168, 163840),
    _loss("mini", 16384, 192, 2048, goals=False),
    _fp8("quantize.k2", fp8.QUANTIZE, 32768, 7168, 0.92),
    _fp8("quantize.moonlight", fp8.QUANTIZE, 65536, 2048, 0.92),
    _fp8("quantize.mini", fp8.QUANTIZE, 65536, 192, None),
    _fp8("dequantize.k2", fp8.DEQUANTIZE, 32768, 7168, 0.92),
    _fp8("swiglu.k2", fp8.SWIGLU, 65536, 2048, 0.85),
    _fp8("swiglu.moonlight", fp8.SWIGLU, 98304, 1408, 0.85),
    _train("step", 0),
    _rollouts(1, 8.0),
    _rollouts(64, 5.0),
    _rollouts(256, 4.0),
    _row(
        "G15.grpo", "one iteration of GRPO, {problems} x {group} answers of {new} tokens, the model of 1.1 B",
        rollouts.build_grpo, None, dict(problems=16, group=16, new=256, micro_batch=32, **ONE_B),
        dict(problems=2, group=2, new=5, micro_batch=3, **_TINY), goals={rollouts.LOOP: 3.0}, tolerance=_16_BIT,
    ),
    _row(
        "T1.fp16", "forward + backward in fp16 by the torch forms, as on a T4: a model of 0.55 B, {batch} x {length} tokens",
        training.build_fp16, training.work_fp16, dict(batch=4, length=1024, **_HALF_B), dict(batch=2, length=12, **_TINY),
        goals={training.HF_FP16: 1.2}, tolerance={"loss": 2e-2, "gradients not finite or zero": 0.0},
    ),
    # last, for their peers compile a whole model
    _rollouts(64, 5.0, static=1),
    _train("step.compiled", 1),
)  # fmt: skip
