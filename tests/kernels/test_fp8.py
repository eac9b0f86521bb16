"""FP8 in tiles: the format by hand, every number of 16 bits, zeros, NaN, tails; kernels equal to the definition bit by bit."""

import pytest
import torch

from kimi_mini import kernels
from kimi_mini.kernels import fp8, launch
from tests.kernels.mutants import Mutant, must_die, original

triton = pytest.importorskip("triton", reason="triton is not installed: no kernel was run")
interpreted = pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here: the gpu tests run compiled")

ROWS, SQUARES = (1, 128), (128, 128)
FORMS = ["ref", "torch", pytest.param("triton", marks=interpreted)]
SHAPES = {ROWS: [(1, 1), (3, 128), (5, 300), (2, 2, 130)], SQUARES: [(1, 1), (128, 128), (130, 200), (2, 5, 129)]}
CASES = [(block, shape) for block in SHAPES for shape in SHAPES[block]]


def values(*shape, dtype=torch.float32, device="cpu", seed=0):
    """Numbers of several powers of ten, so that tiles reach into E4M3's small numbers; here and there an exact zero."""
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(shape, generator=g) * 10 ** torch.randn(shape, generator=g)
    x[..., ::7] = 0
    return x.to(device, dtype)


def same(got, want):
    """(codes, scales) equal to the last bit; a NaN is a NaN."""
    (q, scale), (q_right, scale_right) = got, want
    assert q.dtype == fp8.E4M3 and scale.dtype == torch.float32 and q.shape == q_right.shape
    assert torch.equal(q.float().nan_to_num(nan=1e9), q_right.float().nan_to_num(nan=1e9))
    assert torch.equal(q.float().signbit() & ~q.float().isnan(), q_right.float().signbit() & ~q_right.float().isnan())
    torch.testing.assert_close(scale, scale_right, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("impl", FORMS)
def test_a_tile_by_hand(impl):
    """amax 896: scale 2. 100 / 2 = 50 lies between 48 and 52, on the tie to even 48; 3 / 2^10 is 1.5 steps of 2^-9: to 2."""
    x = torch.zeros(2, 130)
    x[0, :5] = torch.tensor([896.0, -100.0, 104.0, 3 / 512, -1 / 1024])
    x[0, 128:] = torch.tensor([448.0, 17.0])  # a tile of two columns; 17 lies on the tie of 16 and 18
    q, scale = kernels.quantize_fp8(x, impl=impl)
    assert scale.tolist()[0] == [2.0, 1.0] and scale.shape == (2, 2)
    assert q[0, :5].float().tolist() == [448.0, -48.0, 52.0, 2 / 512, 0.0] and q[0, 4].float().signbit()
    assert q[0, 128:].float().tolist() == [448.0, 16.0]
    back = kernels.dequantize_fp8(q, scale, impl=impl)
    assert back[0, :3].tolist() == [896.0, -96.0, 104.0] and (back[1] == 0).all() and scale[1].isfinite().all()


@pytest.mark.parametrize("impl", FORMS)
def test_a_square_shares_one_scale(impl):
    x = torch.ones(130, 3)
    x[7, 1], x[129, 2] = 448, 896
    q, scale = kernels.quantize_fp8(x, SQUARES, impl=impl)
    assert scale.tolist() == [[1.0], [2.0]] and torch.equal(kernels.dequantize_fp8(q, scale, SQUARES, impl=impl), x)


def check_codes(module, block=ROWS, shape=(5, 300), dtype=torch.float32, device="cpu"):
    x = values(*shape, dtype=dtype, device=device)
    got = module.quantize_fp8(x, block)
    same(got, fp8.quantize_fp8_ref(x, block))
    for into in (torch.float32, torch.float16 if device == "cpu" else dtype):  # the interpreter truncates to bf16
        back = module.dequantize_fp8(*got, block, into)
        assert back.dtype == into and torch.equal(back, fp8.dequantize_fp8(*got, block, into))


def check_squares(module):
    check_codes(module, SQUARES, (2, 5, 129))


@pytest.mark.parametrize(("block", "shape"), CASES, ids=str)
def test_torch_form_equals_the_definition(block, shape):
    x = values(*shape)
    same(kernels.quantize_fp8(x, block, impl="torch"), kernels.quantize_fp8(x, block, impl="ref"))


@interpreted
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize(("block", "shape"), CASES, ids=str)
def test_kernels_equal_the_definition(block, shape, dtype):
    check_codes(original("fp8_triton"), block, shape, dtype)


def check_every_number(module, device="cpu", step=1):
    """All bf16 and fp16 numbers up to 448 as entries of tiles whose scale is 1: their codes are torch's own conversion."""
    for dtype in (torch.bfloat16, torch.float16):
        bits = torch.arange(-(2**15), 2**15, step, dtype=torch.int32).to(torch.int16)
        x = bits.view(dtype).float()
        x = x[x.abs() <= 448].to(device)
        x = torch.cat((x, x.new_zeros(-len(x) % 127))).view(-1, 127)
        x = torch.cat((x, torch.full_like(x[:, :1], 448)), 1)
        q, scale = module.quantize_fp8(x.to(dtype), ROWS)
        assert (scale == 1).all() and torch.equal(q.view(torch.uint8), x.to(fp8.E4M3).view(torch.uint8))


def check_few_numbers(module):
    """Every eighth: these have zeros at the end, so many of them are ties."""
    check_every_number(module, step=8)


@interpreted
def test_every_number_of_16_bits_is_rounded_as_torch_rounds(monkeypatch):
    monkeypatch.setattr(original("fp8_triton"), "_ROWS", launch.Config({"TILES": 1024}))  # few programs: a second, not ten
    check_every_number(original("fp8_triton"))


@interpreted
def test_every_code_comes_back():
    q = torch.arange(256, dtype=torch.int32).to(torch.uint8).view(fp8.E4M3).view(2, 128)
    scale = torch.tensor([[1.0], [0.375]])
    got = kernels.dequantize_fp8(q, scale, impl="triton")
    torch.testing.assert_close(got, kernels.dequantize_fp8(q, scale, impl="ref"), rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("block", [ROWS, SQUARES], ids=str)
@pytest.mark.parametrize("impl", FORMS)
def test_nothing_not_finite_is_hidden_and_tiny_tiles_are_zeros(impl, block):
    x = torch.ones(1, 7 * 128)
    for tile, value in enumerate([float("nan"), float("inf"), -float("inf"), 0.0, -1e-45, 3e38]):
        x[0, 128 * tile : 128 * tile + 2] = value
        x[0, 128 * tile + 2 : 128 * tile + 128] *= 0.0 if abs(value) < 1 else 1.0
    q, scale = kernels.quantize_fp8(x, block, impl=impl)
    same((q, scale), kernels.quantize_fp8(x, block, impl="ref"))
    back = kernels.dequantize_fp8(q, scale, block, impl=impl).view(7, 128)
    assert back[:3].isnan().all(), "a tile that holds NaN or an infinity is lost whole, and says so"
    assert (back[3:5] == 0).all() and scale[0, 3:5].isfinite().all()
    assert back[5].isfinite().all() and back[5, 0] > 2.9e38 and (back[6] == 1).all()


@pytest.mark.parametrize("impl", FORMS)
def test_error_stays_within_half_a_step(impl):
    x = values(3, 256, seed=1)
    back = kernels.dequantize_fp8(*kernels.quantize_fp8(x, impl=impl), impl=impl)
    amax = x.view(3, 2, 128).abs().amax(-1, keepdim=True).expand(-1, -1, 128).reshape(3, 256)
    assert ((back - x).abs() <= torch.maximum(x.abs() / 16, amax / 448 * 2**-10) * 1.0001).all()


def check_swiglu(module, tokens=5, width=200, dtype=torch.float32, device="cpu"):
    """Codes may differ where the two exponentials put a number on other sides of a tie: by one step, and seldom."""
    gate, up = (3 * values(tokens, 2 * width, device=device).clamp(-4, 4)).to(dtype).chunk(2, -1)
    q, scale = module.swiglu_fp8(gate, up)
    q_right, scale_right = fp8.swiglu_fp8_ref(gate, up)
    torch.testing.assert_close(scale, scale_right, rtol=1e-6, atol=0)
    steps = (q.view(torch.uint8).int() - q_right.view(torch.uint8).int()).abs()
    assert q.shape == gate.shape and steps.max() <= 1 and (steps > 0).double().mean() < 0.002


@interpreted
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize(("tokens", "width"), [(1, 1), (5, 200), (3, 128)])
def test_behind_swiglu(tokens, width, dtype):
    check_swiglu(original("fp8_triton"), tokens, width, dtype)


def test_swiglu_of_torch_is_that_of_the_definition():
    gate, up = values(4, 150), values(4, 150, seed=1)
    q, scale = kernels.swiglu_fp8(gate, up, impl="torch")
    whole = torch.nn.functional.silu(gate) * up
    assert (kernels.dequantize_fp8(q, scale) - whole).norm() < 0.04 * whole.norm()


@interpreted
def test_strides_empty_tensors_and_gradients():
    x = values(4, 20, 3)
    for view in (x.transpose(0, 1), x.mT, x[:, ::2], x[:, :, :2], x[:0], x[:, :0]):
        for block in (ROWS, SQUARES):
            got = kernels.quantize_fp8(view, block, impl="triton")
            same(got, kernels.quantize_fp8(view, block, impl="ref"))
            assert torch.equal(kernels.dequantize_fp8(*got, block, impl="triton"), kernels.dequantize_fp8(*got, block))
    for impl in ("ref", "torch", "triton"):
        assert not any(t.requires_grad for t in kernels.quantize_fp8(torch.ones(2, 3, requires_grad=True), impl=impl))


@pytest.mark.parametrize("impl", FORMS)
def test_bad_arguments_say_what_is_right(impl):
    q, scale = kernels.quantize_fp8(torch.ones(3, 130))
    with pytest.raises(ValueError, match=r"block = \(64, 64\) will not do; expected \(1, 128\) or \(128, 128\)"):
        kernels.quantize_fp8(torch.ones(2, 2), (64, 64), impl=impl)
    with pytest.raises(ValueError, match=r"shape = \[2\]"):
        kernels.quantize_fp8(torch.ones(2), impl=impl)
    with pytest.raises(ValueError, match=r"shape of the scales = \[3, 2\].*\[1, 2\], tiles of \(128, 128\)"):
        kernels.dequantize_fp8(q, scale, SQUARES, impl=impl)
    with pytest.raises(ValueError, match="q's dtype = torch.float32"):
        kernels.dequantize_fp8(q.float(), scale, impl=impl)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_on_a_gpu(dtype):
    module = original("fp8_triton")
    for block, shape in ((ROWS, (4096, 7168)), (ROWS, (333, 1000)), (SQUARES, (4, 2048, 1408)), (SQUARES, (3, 200, 333))):
        x = values(*shape, dtype=dtype, device="cuda")
        same(module.quantize_fp8(x, block), fp8.quantize_fp8_torch(x, block))
    check_codes(module, ROWS, (5, 300), dtype, "cuda")
    check_codes(module, SQUARES, (2, 200, 300), dtype, "cuda")
    check_swiglu(module, 4096, 2048, dtype, "cuda")


@pytest.mark.gpu
@pytest.mark.parametrize("hardware", [True, False])
def test_every_number_on_a_gpu(hardware, monkeypatch):
    """By the conversion of sm_89 and by our own integer arithmetic."""
    module = original("fp8_triton")
    if hardware and not launch.has_fp8():
        pytest.skip("this GPU does not convert to FP8 itself")
    monkeypatch.setattr(module, "has_fp8", lambda: hardware)
    check_every_number(module, "cuda")
    check_codes(module, ROWS, (5, 300), torch.float32, "cuda")


BROKEN = {
    "tl.max(_magnitude(x), 1))": ("tl.max(_magnitude(x), 1) - 1)", check_codes),
    "+ ((bits >> 20) & 1)": ("+ 1", check_few_numbers),
    "bits < 0x3C800000": ("bits < 0x3C000000", check_codes),
    "code | sign": ("code", check_codes),
    "mask=tile < A * per_row": ("mask=tile < A", check_codes),
    "half.to(tl.float32) * 256.0": ("half.to(tl.float32) * 128.0", check_codes),
    "x * tl.sigmoid(x) *": ("tl.sigmoid(x) *", check_swiglu),
    "up_ptr + row * up_row": ("up_ptr + row * B", check_swiglu),
    "tl.max(tl.max(_magnitude(x), 1), 0)": ("tl.max(tl.min(_magnitude(x), 1), 0)", check_squares),
    "row // A * tl.cdiv(A, HEIGHT)": ("row // A * A", check_squares),
}
MUTANTS = [Mutant("fp8_triton", old, new, check) for old, (new, check) in BROKEN.items()]


@interpreted
@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_mutants_die(mutant, tmp_path):
    must_die(mutant, tmp_path)
