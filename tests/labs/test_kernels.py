"""What a check of a Triton kernel sees: who computes, where a kernel writes, what nobody wrote, how much it moves."""

import json

import pytest
import torch

from kimi_mini.kernels.launch import interpreting
from kimi_mini.labs import Case, attempt, decode, difference, store, unsolved
from kimi_mini.labs.kernels import count_traffic
from labs.course.exercise import define

pytestmark = pytest.mark.skipif(not interpreting(), reason="kernels run compiled here")

LAUNCHER = """
import torch
import triton
import triton.language as tl


def copy(x_N):
    out_N = torch.empty_like(x_N)
    copy_kernel[({programs},)](x_N, out_N, x_N.shape[0], BLOCK=8)
    return {returned}


@triton.jit
def copy_kernel(x_ptr, out_ptr, N, BLOCK: tl.constexpr):
    n = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    {body}
"""
RIGHT = "tl.store(out_ptr + n, tl.load(x_ptr + n, mask=n < N), mask=n < N)"


def _tried(body=RIGHT, programs="triton.cdiv(x_N.shape[0], 8)", returned="out_N"):
    source = LAUNCHER.format(body=body, programs=programs, returned=returned)
    return attempt(define(source)["copy"], store(Case("eleven numbers", (torch.arange(11.0),), kernel=True)))


def test_a_right_kernel_passes_and_no_other_case_notices():
    plain = attempt(lambda x_N: x_N, store(Case("plain", (torch.arange(11.0),))))
    assert _tried() == plain
    assert "kernel" not in store(Case("plain", (1,))), "what other labs bake stays as it was"


def test_what_nobody_wrote_is_nan():
    assert decode(_tried(programs="1")["result"]).isnan().tolist() == [False] * 8 + [True] * 3


@pytest.mark.parametrize(
    "body",
    [
        "tl.store(out_ptr + n, tl.load(x_ptr + n))",  # NaN from behind x would hide in a guard of NaN
        "tl.store(out_ptr + n, tl.load(x_ptr + n, mask=n < N, other=0.0))",
        "tl.store(out_ptr + n - 1, tl.load(x_ptr + n, mask=n < N), mask=n < N)",
        "tl.store(x_ptr + n, n.to(tl.float32))",
        "tl.atomic_add(out_ptr + n, n.to(tl.float32))",
    ],
)
def test_a_write_beside_a_tensor_is_seen(body):
    assert _tried(body)["error"] == "IndexError: a kernel wrote outside its tensors"


@pytest.mark.parametrize(
    "access",
    [
        "tl.load(x_ptr + n + 100_000_000)",
        "tl.store(out_ptr + n * 1_000_000_000, n)",
        "tl.atomic_add(out_ptr + n * 1_000_000_000, 1.0)",
    ],
)
def test_an_access_far_outside_is_stopped_before_it_ends_the_process(access):
    assert _tried(f"a = {access}")["error"] == "IndexError: a kernel reached far outside its tensors"


@pytest.mark.parametrize(
    ("returned", "name"), [("x_N + 0", "add"), ("torch.sin(x_N)", "sin"), ("out_N.tolist()", "tolist"), ("x_N @ x_N", "matmul")]
)
def test_the_launcher_may_not_compute(returned, name):
    assert f"the launcher called torch's {name}:" in _tried(returned=returned)["error"]


@pytest.mark.parametrize("result", ["torch.jit.script(double)(x_N)", "[2 * x for x in struct(x_N)]", "aside(x_N)", "x_N"])
def test_a_result_that_no_kernel_wrote_is_refused(result):
    """Whatever way it was computed: torch's function mode does not see these."""
    helpers = """

def double(x):
    return 2 * x


def struct(x):
    import ctypes
    return list((ctypes.c_float * x.numel()).from_address(x.data_ptr()))


def aside(x):
    with torch._C.DisableTorchFunction():
        return 2 * x
"""
    source = LAUNCHER.format(body=RIGHT, programs="2", returned=result) + helpers
    outcome = attempt(define(source)["copy"], store(Case("eleven numbers", (torch.arange(11.0),), kernel=True)))
    assert outcome["error"] == "RuntimeError: no kernel wrote this result"


def test_arguments_stay_as_they_were():
    outcome = _tried(body="tl.store(x_ptr + n, 2.0 * tl.load(x_ptr + n, mask=n < N), mask=n < N)", returned="x_N")
    assert outcome["error"].startswith("IndexError: an argument was changed")


def test_a_load_outside_is_seen_where_the_numbers_are_right():
    right = _tried()
    assert difference(right, right) is None
    strayed = _tried("tl.store(out_ptr + n, tl.load(x_ptr + n), mask=n < N)")
    assert difference(right, strayed) == "right, but a kernel read outside its tensors: its loads need a mask"


def test_what_a_mask_hides_is_nan_unless_the_load_says_otherwise():
    body = "tl.store(out_ptr + n, tl.sum(tl.load(x_ptr + n, mask=n < N{other}), 0) + 0.0 * n, mask=n < N)"
    assert decode(_tried(body.format(other=""))["result"]).isnan().tolist() == [False] * 8 + [True] * 3
    assert decode(_tried(body.format(other=", other=0.0"))["result"])[-1] == 8 + 9 + 10


def test_a_copy_of_an_argument_is_read_within_its_bounds():
    source = LAUNCHER.format(body=RIGHT, programs="2", returned="out_N").replace("x_N, out_N, x_N", "x_N.clone(), out_N, x_N")
    outcome = attempt(define(source)["copy"], store(Case("eleven numbers", (torch.arange(11.0),), kernel=True)))
    assert decode(outcome["result"]).tolist() == list(range(11)) and "strayed" not in outcome


def test_it_may_view_copy_and_collect():
    assert "error" not in _tried(returned="out_N.view(11, 1).transpose(0, 1).contiguous().to(torch.float64).amax(0)")


def test_a_stub_in_the_kernel_is_a_stub_and_an_error_in_it_has_its_line():
    assert unsolved(_tried("raise NotImplementedError"))
    outcome = _tried("tl.store(out_ptr + n, tl.load(y_ptr))")
    assert outcome["error"].startswith("NameError") and outcome["line"] == "tl.store(out_ptr + n, tl.load(y_ptr))"


def test_traffic_is_what_the_masks_let_through():
    copy = define(LAUNCHER.format(body=RIGHT, programs="2", returned="out_N"))["copy"]
    with count_traffic() as moved:
        copy(torch.arange(11.0))
        copy(torch.arange(5).half())
    assert (moved.read, moved.written) == (11 * 4 + 5 * 2,) * 2
    with count_traffic() as moved:
        pass
    assert (moved.read, moved.written) == (0, 0)


def test_compiled_kernels_are_not_counted(monkeypatch):
    monkeypatch.setenv("TRITON_INTERPRET", "0")
    with pytest.raises(RuntimeError, match="only the interpreter"), count_traffic():
        pass


def test_half_precision_crosses_as_it_is():
    stored = store(Case("fp16", (torch.tensor([1.5, -2.0], dtype=torch.float16),)))
    (x_N,) = json.loads(json.dumps(stored))["args"]["list"]
    assert x_N["dtype"] == "float16" and attempt(lambda x_N: x_N.dtype == torch.float16, stored)["result"] is True
