"""The one place where a device, and the number format that suits it, is chosen."""

from __future__ import annotations

import torch


def pick_device() -> torch.device:
    """The first CUDA GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def has_fast_bf16(device: torch.device) -> bool:
    """Whether bf16 matrix products run on real hardware units: Ampere and later, or a CPU with AVX512-BF16 / AMX."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return device.type == "cpu" and torch.ops.mkldnn._is_mkldnn_bf16_supported() and torch.cpu._is_avx512_bf16_supported()


def default_compute_dtype(device: torch.device) -> torch.dtype:
    """bf16 where a GPU has it; fp32 elsewhere (a T4 trains the book's small models in fp32; so do CPUs)."""
    return torch.bfloat16 if device.type == "cuda" and has_fast_bf16(device) else torch.float32


def at_least_fp32(dtype: torch.dtype) -> torch.dtype:
    """The format for sums and exponentials: fp32 for half precision, otherwise unchanged (float64 stays float64)."""
    return torch.promote_types(dtype, torch.float32)
