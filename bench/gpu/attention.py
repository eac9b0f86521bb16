"""G1 to G3: causal attention with the exact largest logit of each head, and what that maximum costs.

Legend: B batch, T tokens, H heads, N query/key width, M value width.
"""

from __future__ import annotations

import importlib.util
import re
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import flex_attention as flex

from kimi_mini import kernels
from kimi_mini.kernels import attention_ref
from kimi_mini.kernels.work import Work, attention_backward, attention_forward

from ..harness import Case
from .common import OURS, Results, Trial, compiled, fast_format, make_case, optional

FLEX, SDPA, FA4 = "flex_attention with max_scores", "SDPA, padded V (no maximum)", "flash-attn-4 (no maximum)"
PLAIN = "ours without the maximum"

Attention = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor | None]]


def build(device: torch.device, *, length: int, batch: int, heads: int, qk_width: int, v_width: int, backward: int = 0) -> Case:
    """Random queries, keys and values; with `backward` the backward pass alone."""
    trial, scale = _trial(device, length, batch, heads, qk_width, v_width, backward)
    ways: dict[str, Attention] = {
        OURS: lambda q, k, v: kernels.attention(q, k, v, scale=scale),
        FLEX: _flex(device, length, scale),
        SDPA: lambda q, k, v: (_sdpa(q, k, v, scale), None),
    }
    more, missing = optional({FA4: ("flash_attn", lambda: trial.way(_fa4(scale)))})
    made = {name: trial.way(way) for name, way in ways.items()} | more
    return make_case(made, lambda: _exact(trial, scale), metrics={"maximum": _by_head}, missing=missing)


def build_overhead(device: torch.device, *, length: int, batch: int, heads: int, qk_width: int, v_width: int) -> Case:
    """Ours beside itself with everything taken out that only the maximum needs."""
    trial, scale = _trial(device, length, batch, heads, qk_width, v_width, 0)
    plain = _without_maximum()
    ways: dict[str, Attention] = {
        OURS: lambda q, k, v: kernels.attention(q, k, v, scale=scale, impl="triton"),
        PLAIN: lambda q, k, v: (plain(q, k, v, scale=scale)[0], None),
    }
    made = {name: trial.way(way) for name, way in ways.items()}

    def different_bits() -> dict[str, float]:
        return {"bits that differ": float((made[OURS]()["out"] != made[PLAIN]()["out"]).sum())}

    return make_case(made, lambda: _exact(trial, scale), metrics={"maximum": _by_head}, also=different_bits)


def work(*, length: int, batch: int, heads: int, qk_width: int, v_width: int, backward: int = 0) -> Work:
    return (attention_backward if backward else attention_forward)(batch, length, heads, qk_width, v_width)


def _trial(device: torch.device, length: int, batch: int, heads: int, qk_width: int, v_width: int, backward: int):
    torch.manual_seed(0)
    widths = (qk_width, qk_width, v_width, v_width)
    *inputs, grad = (torch.randn(batch, length, heads, width, device=device, dtype=fast_format(device)) for width in widths)
    mode = "backward" if backward else "forward"
    return Trial(inputs, ("out", "maximum"), ("dq", "dk", "dv"), (grad,), mode), qk_width**-0.5


def _exact(trial: Trial, scale: float) -> Results:
    """In float64, a head of a sequence at a time: the logits of all would not fit."""
    B, _, H, _ = trial.inputs[0].shape
    found: Results = {}
    for b, h in ((b, h) for b in range(B) for h in range(H)):
        one = (slice(b, b + 1), slice(None), slice(h, h + 1))
        inputs, grads = ([x[one] for x in tensors] for tensors in (trial.inputs, trial.grads))
        part = replace(trial, inputs=inputs, grads=grads)
        for name, value in part.exactly(lambda q, k, v: attention_ref.attention(q, k, v, scale=scale))().items():
            if name == "maximum":
                whole_H = found.setdefault(name, value.new_full((H,), float("-inf")))
                whole_H[h] = torch.maximum(whole_H[h], value[0])
            else:
                whole = found.setdefault(name, value.new_zeros(B, value.shape[1], H, value.shape[3]))
                whole[one] = value
    return found


def _by_head(got_H: Tensor, exact_H: Tensor) -> float:
    """One wrong head must not hide among the others."""
    return ((got_H.double() - exact_H).abs() / exact_H.abs()).max().item()


# ---- peers -----------------------------------------------------------------------------------------------------------


def _flex(device: torch.device, length: int, scale: float) -> Attention:
    causal = flex.create_block_mask(lambda b, h, t, s: t >= s, None, None, length, length, device=device)
    aux = flex.AuxRequest(max_scores=True)
    run = compiled(flex.flex_attention, device)

    def attend(q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        q, k, v = (x.transpose(1, 2) for x in (q, k, v))
        out, more = run(q, k, v, block_mask=causal, scale=scale, return_aux=aux)
        return out.transpose(1, 2), more.max_scores.amax((0, 2))

    return attend


def _sdpa(q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
    """Unequal widths would silently take a slow path: values are padded with zeros and cut afterwards."""
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    padded = F.pad(v, (0, q.shape[-1] - v.shape[-1]))
    return F.scaled_dot_product_attention(q, k, padded, is_causal=True, scale=scale)[..., : v.shape[-1]].transpose(1, 2)


def _fa4(scale: float) -> Attention:
    attend = import_module("flash_attn.cute").flash_attn_func

    def run(q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, None]:
        out = attend(q, k, v, softmax_scale=scale, causal=True)
        return (out[0] if isinstance(out, tuple) else out), None

    return run


_EDITS = (  # everything that only the maximum needs
    (r"    tile_max = tl\.max\(.*\n", ""),
    (r"    tl\.store\(tile_max_ptr.*\n", ""),
    (r"tile_max\.amax\(\(0, 2\)\)", "tile_max[0, :, 0]"),
)


def _without_maximum() -> Callable:
    """`attention` of a copy of the module that neither takes nor stores the maximum (a file, because Triton reads sources)."""
    source = Path(import_module("kimi_mini.kernels.attention_triton").__file__).read_text(encoding="utf-8")
    for pattern, new in _EDITS:
        source, times = re.subn(pattern, new, source)
        if times != 1:
            raise ValueError(f"{pattern!r} fits {times} places of the attention kernel; expected one")
    path = Path(tempfile.mkdtemp(prefix="kimi-mini-bench-")) / "attention_without_maximum.py"
    path.write_text(source, encoding="utf-8")
    name = "kimi_mini.kernels._attention_without_maximum"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module.attention
