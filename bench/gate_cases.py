"""What the offline gate compiles: each operation at the shapes of MINI, Moonlight and K2, on tensors without memory."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from kimi_mini import ModelConfig, kernels
from kimi_mini.train.loss import Batch, linear_next_token_loss, loss_of

CASES: dict[str, Callable[[], object]] = {}
BF16, FP16, FP32 = torch.bfloat16, torch.float16, torch.float32


def empty(*shape: int, dtype: torch.dtype = BF16, grad: bool = True) -> Tensor:
    """A tensor of device "meta" that asks for a gradient."""
    return torch.empty(shape, dtype=dtype, device="meta", requires_grad=grad and dtype.is_floating_point)


def backward(*outputs: Tensor) -> None:
    """Run the backward pass of those outputs that have one."""
    wanted = [out for out in outputs if out.requires_grad]
    torch.autograd.backward(wanted, [torch.empty_like(out) for out in wanted])


def case(name: str) -> Callable[[Callable[[], object]], Callable[[], object]]:
    """Register a case under its name, "operation shape"."""

    def register(run: Callable[[], object]) -> Callable[[], object]:
        CASES[name] = run
        return run

    return register


def _norms(width: int, dtype: torch.dtype) -> None:
    x, weight = empty(16_384, width, dtype=dtype), empty(width, dtype=FP32)
    backward(kernels.rms_norm(x, weight, 1e-6, impl="triton"))
    backward(*kernels.add_rms_norm(x, empty(16_384, width, dtype=dtype), weight, 1e-6, impl="triton"))


for _name, _width, _dtype in (("K2", 7168, BF16), ("Moonlight", 2048, BF16), ("MINI", 192, BF16), ("K2 fp32", 7168, FP32)):
    case(f"rms_norm {_name}")(lambda width=_width, dtype=_dtype: _norms(width, dtype))


def _route(experts: int, k: int, groups: int, open_groups: int) -> None:
    how = {"k": k, "n_group": groups, "topk_group": open_groups, "normalise": True, "scale": 2.5}
    backward(*kernels.route(empty(16_384, experts, dtype=FP32), empty(experts, dtype=FP32, grad=False), **how, impl="triton"))


for _name, *_router in (("K2", 384, 8, 1, 1), ("DeepSeek-V3", 256, 8, 8, 4), ("Moonlight", 64, 6, 1, 1), ("MINI", 32, 4, 1, 1)):
    case(f"route {_name}")(lambda router=_router: _route(*router))


def _swiglu(tokens: int, width: int, dtype: torch.dtype) -> None:
    gate, up = empty(tokens, 2 * width, dtype=dtype).chunk(2, -1)
    backward(kernels.swiglu(gate, up, impl="triton"))
    backward(kernels.swiglu(empty(tokens, width, dtype=dtype), empty(tokens, width, dtype=dtype), impl="triton"))


for _name, _tokens, _width, _dtype in (
    ("K2 dense", 8192, 18_432, BF16), ("K2 experts", 65_536, 2048, BF16), ("Moonlight", 49_152, 1408, BF16),
    ("MINI", 8192, 64, BF16), ("K2 fp32", 8192, 2048, FP32),
):  # fmt: skip
    case(f"swiglu {_name}")(lambda tokens=_tokens, width=_width, dtype=_dtype: _swiglu(tokens, width, dtype))


def _rope(heads: int, width: int, content: int, dtype: torch.dtype) -> None:
    """The rotary part of the queries, as the model's view of it, and the one key that all heads share."""
    tables = [empty(1, 4096, width // 2, dtype=dtype, grad=False) for _ in range(2)]
    rotary = empty(2, 4096, heads, content + width, dtype=dtype)[..., content:]
    backward(kernels.rope(rotary, *tables, impl="triton"))
    backward(kernels.rope(empty(2, 4096, 1, width, dtype=dtype), *tables, impl="triton"))


for _name, _heads, _width, _content, _dtype in (
    ("K2", 64, 64, 128, BF16), ("Moonlight", 16, 64, 128, BF16), ("MINI", 6, 16, 32, BF16), ("K2 fp32", 64, 64, 128, FP32),
):  # fmt: skip
    case(f"rope {_name}")(lambda args=(_heads, _width, _content, _dtype): _rope(*args))


def _attention(T: int, H: int, N: int, M: int, dtype: torch.dtype = BF16, documents: bool = False, batch: int = 1) -> None:
    q, k, v = (empty(batch, T, H, width, dtype=dtype) for width in (N, N, M))
    document_BT = empty(batch, T, dtype=torch.int64) if documents else None
    backward(kernels.attention(q, k, v, scale=N**-0.5, document_BT=document_BT, impl="triton")[0])


for _name, _arguments in {
    "K2": (8192, 64, 192, 128),
    "K2 documents": (8192, 64, 192, 128, BF16, True),
    "K2 odd length": (8191, 64, 192, 128),
    "K2 fp32": (1024, 64, 192, 128, FP32),
    "Moonlight": (8192, 16, 192, 128),
    "MINI": (1024, 6, 48, 32),
    "MINI documents": (1024, 6, 48, 32, BF16, True, 16),
    "NANO": (256, 4, 24, 16),
}.items():
    case(f"attention {_name}")(lambda arguments=_arguments: _attention(*arguments))


def _latent_attention(B: int, S: int, H: int, C: int, R: int, T: int = 1, dtype: torch.dtype = BF16) -> None:
    q, cache = empty(B, T, H, C + R, dtype=dtype, grad=False), empty(B, S, C + R, dtype=dtype, grad=False)
    visible_BT = empty(B, T, dtype=torch.int64)
    kernels.latent_attention(q, cache, visible_BT, latent_dim=C, scale=0.1, impl="triton")


for _name, _arguments in {
    "K2 4k": (32, 4096, 64, 512, 64),
    "K2 64k": (32, 65_536, 64, 512, 64),
    "K2 full": (128, 4096, 64, 512, 64),
    "K2 fp32": (4, 4096, 64, 512, 64, 1, FP32),
    "Moonlight": (32, 16_384, 16, 512, 64),
    "MINI": (256, 512, 6, 64, 16),
    "MINI verify": (16, 512, 6, 64, 16, 5),
    "NANO": (8, 256, 4, 24, 8),
}.items():
    case(f"latent_attention {_name}")(lambda arguments=_arguments: _latent_attention(*arguments))


def _linear_cross_entropy(tokens: int, width: int, vocab: int, dtype: torch.dtype) -> None:
    x, weight, target = empty(tokens, width, dtype=dtype), empty(vocab, width, dtype=dtype), empty(tokens, dtype=torch.long)
    backward(kernels.linear_cross_entropy(x, weight, target, impl="triton"))


for _name, *_shape in (
    ("K2", 4096, 7168, 163_840, BF16), ("Moonlight", 8192, 2048, 163_840, BF16), ("MINI", 8192, 192, 2048, BF16),
    ("Moonlight fp16", 8192, 2048, 163_840, FP16), ("Moonlight fp32", 8192, 2048, 163_840, FP32),
):  # fmt: skip
    case(f"linear_cross_entropy {_name}")(lambda shape=_shape: _linear_cross_entropy(*shape))


_MATRICES = {  # a batch of one shape, wide or tall, as Muon hands them over
    "K2 experts": ((384, 2048, 7168), FP16),
    "K2 experts down": ((384, 7168, 2048), FP16),
    "K2 experts bf16": ((384, 2048, 7168), BF16),
    "K2 experts fp32": ((384, 2048, 7168), FP32),
    "K2 latent": ((1, 576, 7168), FP16),
    "Moonlight experts": ((64, 1408, 2048), FP16),
    "MINI experts": ((32, 64, 192), FP16),
    "MINI experts fp32": ((32, 64, 192), FP32),
}
for _name, (_shape, _dtype) in _MATRICES.items():
    case(f"newton_schulz {_name}")(
        lambda shape=_shape, dtype=_dtype: kernels.newton_schulz(
            empty(*shape, dtype=FP32, grad=False), dtype=dtype, impl="triton"
        )
    )


def _sort(tokens: int, experts: int, k: int) -> None:
    kernels.sort_by_expert(torch.empty(tokens, k, dtype=torch.int64, device="meta"), experts, impl="triton")


for _name, *_assigned in (
    ("K2", 16_384, 384, 8),
    ("E128", 32_768, 128, 8),
    ("Moonlight", 16_384, 64, 6),
    ("MINI", 4096, 32, 4),
):
    case(f"sort_by_expert {_name}")(lambda assigned=_assigned: _sort(*assigned))


def _experts(tokens: int, experts: int, k: int, width: int, hidden: int, dtype: torch.dtype = BF16) -> None:
    expert_TK = torch.empty(tokens, k, dtype=torch.int64, device="meta")
    x, weight = empty(tokens, width, dtype=dtype), empty(tokens, k, dtype=FP32)
    slabs = empty(experts, 2, hidden, width, dtype=dtype), empty(experts, width, hidden, dtype=dtype)
    backward(kernels.grouped_mlp(x, expert_TK, weight, *slabs, impl="triton"))


for _name, *_shape in (
    ("K2", 16_384, 384, 8, 7168, 2048),
    ("K2 few rows", 64, 384, 8, 7168, 2048),
    ("E128", 32_768, 128, 8, 2048, 768),
    ("Moonlight", 16_384, 64, 6, 2048, 1408),
    ("MINI", 4096, 32, 4, 192, 64),
    ("MINI F48", 4096, 32, 4, 192, 48),
    ("MINI fp32", 4096, 32, 4, 192, 64, FP32),
    ("E128 fp16", 32_768, 128, 8, 2048, 768, FP16),
):
    case(f"grouped_mlp {_name}")(lambda shape=_shape: _experts(*shape))


@case("grouped_mlp K2 decode")
def _experts_without_gradient() -> None:
    with torch.no_grad():
        weights = empty(384, 2, 2048, 7168), empty(384, 7168, 2048)
        expert_TK = torch.empty(64, 8, dtype=torch.int64, device="meta")
        kernels.grouped_mlp(empty(64, 7168), expert_TK, empty(64, 8, dtype=FP32), *weights, impl="triton")


def _fp8(shape: tuple[int, ...], dtype: torch.dtype, block: tuple[int, int]) -> None:
    q, scale = kernels.quantize_fp8(empty(*shape, dtype=dtype), block, impl="triton")
    kernels.dequantize_fp8(q, scale, block, dtype=dtype, impl="triton")


def _swiglu_fp8(tokens: int, width: int, dtype: torch.dtype) -> None:
    kernels.swiglu_fp8(*empty(tokens, 2 * width, dtype=dtype).chunk(2, -1), impl="triton")


_TILED = {
    "1x128 K2": ((32_768, 7168), BF16, (1, 128)),
    "1x128 MINI": ((8192, 192), BF16, (1, 128)),
    "1x128 K2 fp32": ((32_768, 7168), FP32, (1, 128)),
    "128x128 K2": ((384, 2048, 7168), BF16, (128, 128)),
    "128x128 MINI": ((32, 64, 192), BF16, (128, 128)),
    "128x128 K2 fp32": ((384, 2048, 7168), FP32, (128, 128)),
}
for _name, _arguments in _TILED.items():
    case(f"fp8 {_name}")(lambda arguments=_arguments: _fp8(*arguments))
for _name, _tokens, _width, _dtype in (
    ("K2", 65_536, 2048, BF16), ("Moonlight", 49_152, 1408, BF16), ("MINI", 8192, 64, BF16), ("K2 fp32", 65_536, 2048, FP32),
):  # fmt: skip
    case(f"swiglu_fp8 {_name}")(lambda tokens=_tokens, width=_width, dtype=_dtype: _swiglu_fp8(tokens, width, dtype))


# Whole steps of rows G13 and G14: on tensors without memory nothing in them may wait for the GPU.


@case("a training step of 1.1 B")
def _training_step() -> None:
    from .gpu.whole import our_model  # here: it imports transformers

    model = our_model(_one_b(), torch.device("meta"), BF16)
    with kernels.using("triton"):
        batch = Batch(*torch.zeros(2, 4, 2048, dtype=torch.long, device="meta"))
        loss_sum, _, _ = loss_of(model, batch, linear_next_token_loss)
        loss_sum.backward()


@case("a decoding step of 1.1 B")
def _decoding_step() -> None:
    from .gpu.rollouts import GraphDecoder
    from .gpu.whole import our_model

    decoder = GraphDecoder(our_model(_one_b(), torch.device("meta"), BF16).to(BF16), 64, 256)
    with kernels.using("triton"), torch.inference_mode():
        decoder.step()


def _one_b() -> ModelConfig:
    from .gpu.rows import ONE_B
    from .gpu.whole import config

    return config(**ONE_B)
