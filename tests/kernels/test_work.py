"""FLOPs, bytes and floors against the figures that were worked out by hand for one H100 (790 TFLOP/s, 3.0 TB/s)."""

import pytest

from kimi_mini.kernels import work
from kimi_mini.kernels.work import H100, Work

TERA, GIGA = 1e12, 1e9
# Operation: work, TFLOPs (or gigabytes), floor in ms.
MATH = {
    "attention 1 4096 16": (work.attention_forward(1, 4096, 16), 0.086, 0.109),
    "attention 1 8192 16": (work.attention_forward(1, 8192, 16), 0.344, 0.435),
    "attention 4 4096 16": (work.attention_forward(4, 4096, 16), 0.344, 0.435),
    "attention 1 4096 64": (work.attention_forward(1, 4096, 64), 0.344, 0.435),
    "attention 1 8192 64": (work.attention_forward(1, 8192, 64), 1.374, 1.74),
    "attention 4 8192 64": (work.attention_forward(4, 8192, 64), 5.50, 6.96),
    "backward 1 4096 16": (work.attention_backward(1, 4096, 16), 0.223, 0.283),
    "backward 1 8192 16": (work.attention_backward(1, 8192, 16), 0.893, 1.131),
    "backward 1 8192 64": (work.attention_backward(1, 8192, 64), 3.573, 4.52),
    "backward 4 8192 64": (work.attention_backward(4, 8192, 64), 14.3, 18.1),
    "experts 128 T8k": (work.grouped_mlp_forward(8192, 8, 128, 2048, 768), 0.618, 0.783),
    "experts 128 T32k": (work.grouped_mlp_forward(32768, 8, 128, 2048, 768), 2.47, 3.13),
    "experts 64 T8k": (work.grouped_mlp_forward(8192, 8, 64, 2048, 1408), 1.13, 1.44),
    "experts 64 T16k": (work.grouped_mlp_forward(16384, 8, 64, 2048, 1408), 2.27, 2.87),
    "experts 384 T16k": (work.grouped_mlp_forward(16384, 8, 384, 7168, 2048), 11.5, 14.6),
    "experts' backward 128 T8k": (work.grouped_mlp_backward(8192, 8, 128, 2048, 768), 2 * 0.618, 1.74),
    "experts' backward 128 T32k": (work.grouped_mlp_backward(32768, 8, 128, 2048, 768), 2 * 2.47, 6.26),
    "experts' backward 64 T8k": (work.grouped_mlp_backward(8192, 8, 64, 2048, 1408), 2 * 1.13, 2.87),
    "experts' backward 64 T16k": (work.grouped_mlp_backward(16384, 8, 64, 2048, 1408), 2 * 2.27, 5.74),
    "NS 2048": (work.newton_schulz(2048, 2048), 0.258, 0.326),
    "NS 2048 symmetric": (work.newton_schulz(2048, 2048, form="symmetric"), 0.172, 0.217),
    "NS 2048 gram": (work.newton_schulz(2048, 2048, form="gram"), 0.172, 0.217),
    "NS 7168": (work.newton_schulz(2048, 7168), 0.687, 0.870),
    "NS 7168 symmetric": (work.newton_schulz(2048, 7168, form="symmetric"), 0.494, 0.625),
    "NS 7168 gram": (work.newton_schulz(2048, 7168, form="gram"), 0.301, 0.381),
    "NS 768": (work.newton_schulz(768, 2048), 0.0287, 0.036),
    "NS 768 symmetric": (work.newton_schulz(768, 2048, form="symmetric"), 0.0204, 0.026),
    "NS 768 gram": (work.newton_schulz(768, 2048, form="gram"), 0.0136, 0.017),
    "CE": (work.linear_cross_entropy_forward(8192, 2048, 163840), 5.5, 6.96),
    "CE K2": (work.linear_cross_entropy_forward(4096, 7168, 163840), 9.6, 12.2),
}
BYTES = {
    "decode B32 4k": (work.latent_attention(32, 4096, 64), 0.155, 0.052),
    "decode B128 4k": (work.latent_attention(128, 4096, 64), 0.622, 0.207),
    "decode B32 16k": (work.latent_attention(32, 16384, 64), 0.608, 0.203),
    "decode B128 16k": (work.latent_attention(128, 16384, 64), 2.43, 0.81),
    "decode B32 64k": (work.latent_attention(32, 65536, 64), 2.42, 0.81),
    "experts 96 of K2": (work.grouped_mlp_forward(8192, 2, 96, 7168, 2048), 8.7, 2.90),
    "experts 384 T8k": (work.grouped_mlp_forward(8192, 8, 384, 7168, 2048), 34, 11.4),
    "permute": (work.permute(32768, 8, 2048), 1.2, 0.40),
    "permute K2": (work.permute(16384, 8, 7168), 2.1, 0.70),
    "norm": (work.rms_norm_forward(16384, 7168), 0.47, 0.157),
    "norm's backward": (work.rms_norm_backward(16384, 7168), 0.70, 0.235),
    "add and norm": (work.add_rms_norm_forward(16384, 7168), 0.94, 0.313),
    "SwiGLU": (work.swiglu_forward(65536, 2048), 0.81, 0.268),
    "SwiGLU's backward": (work.swiglu_backward(65536, 2048), 1.34, 0.447),
    "SwiGLU and FP8": (work.swiglu_fp8(65536, 2048), 0.68, 0.225),
    "FP8": (work.quantize_fp8(32768, 7168), 0.71, 0.237),
}


@pytest.mark.parametrize("name", MATH)
def test_work_limited_by_arithmetic_is_as_calculated_by_hand(name):
    got, teraflops, floor_ms = MATH[name]
    assert got.flops / TERA == pytest.approx(teraflops, rel=0.006)
    assert got.floor_ms(H100) == pytest.approx(floor_ms, rel=0.02 if floor_ms < 0.05 else 0.004)
    assert got.bound(H100) == "math"


@pytest.mark.parametrize("name", BYTES)
def test_work_limited_by_memory_is_as_calculated_by_hand(name):
    got, gigabytes, floor_ms = BYTES[name]
    assert got.bytes / GIGA == pytest.approx(gigabytes, rel=0.01)
    assert got.floor_ms(H100) == pytest.approx(floor_ms, rel=0.01)
    assert got.bound(H100) == "bytes"


def test_linear_cross_entropy_with_its_backward_is_six_or_eight_tdv():
    forward = work.linear_cross_entropy_forward(8192, 2048, 163840)
    for recompute, tera, floor_ms in ((False, 16.5, 20.9), (True, 22.0, 27.8)):
        whole = forward + work.linear_cross_entropy_backward(8192, 2048, 163840, recompute)
        assert whole.flops / TERA == pytest.approx(tera, rel=0.003)
        assert whole.floor_ms(H100) == pytest.approx(floor_ms, rel=0.003)


def test_a_sum_is_one_after_the_other_and_not_overlapped():
    math, memory = Work(790e12, 0), Work(0, 3e12)
    assert (math + memory).floor_ms(H100) == pytest.approx(2000)
    assert Work(790e12, 3e12).floor_ms(H100) == pytest.approx(1000)
    assert (math + memory + math).phases == (math, memory, math)


def test_absorbed_decoding_at_128_heads_has_math_beside_its_bytes():
    got = work.latent_attention(128, 16384, 128)
    assert got.flops / H100.flops * 1e3 == pytest.approx(0.739, rel=0.001)
    assert got.intensity == pytest.approx(got.flops / got.bytes)


def test_router_reads_little():
    assert work.route(16384, 384, 0).bytes == 16384 * 384 * 4
