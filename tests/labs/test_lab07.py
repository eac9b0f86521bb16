"""Lab 7: its answers are right by their definitions, its cells show what they say, and hand-ins with kernels can be marked."""

import importlib.util
import os
import subprocess
import sys

import pytest
import torch

import kimi_mini as km
from kimi_mini.kernels.launch import interpreting
from kimi_mini.labs import attempt, difference
from kimi_mini.labs.kernels import count_traffic
from kimi_mini.sandbox import SandboxUnavailable
from labs.course import handin
from labs.course.bake import function_of, measure, outcomes
from labs.course.find import ROOT, load_notebook, load_spec
from labs.course.twist import changed
from tests.labs.notebooks import worked

SPEC = load_spec("lab07")
CELLS = {cell.id: cell.source for cell in load_notebook("lab07").cells}
interpreted = pytest.mark.skipif(not interpreting(), reason="kernels run compiled here")


def _practice(name):
    return function_of(SPEC[name].practice.solution)


@pytest.fixture(scope="module")
def names():
    with worked(CELLS, SPEC, "text") as known:
        known["lab"].answers["kilobytes"] = {"value": 400}
        yield known


@interpreted
def test_the_practice_answers_are_the_definitions():
    generator = torch.Generator().manual_seed(5)
    x_TD, weight_D = torch.randn(3, 21, generator=generator), torch.randn(21, generator=generator)
    torch.testing.assert_close(_practice("masked_add")(x_TD[0], x_TD[1]), x_TD[0] + x_TD[1])
    right_TD = km.kernels.rms_norm(x_TD.double(), weight_D.double(), 1e-3, impl="ref").float()
    torch.testing.assert_close(_practice("rms_norm")(x_TD, weight_D, 1e-3), right_TD)
    torch.testing.assert_close(_practice("tile_product")(x_TD, x_TD.t().contiguous()), x_TD @ x_TD.t())
    case = SPEC["attention_with_maxima"].practice.cases(5)[2]
    q, k, v, document_BT, scale = case.args
    wanted = km.kernels.attention(q.double(), k.double(), v.double(), scale=scale, document_BT=document_BT, impl="ref")
    found = _practice("attention_with_maxima")(*case.args)
    for one, other in zip(wanted, found, strict=True):
        torch.testing.assert_close(other, one.float(), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(_practice("online_attention")(*case.args), found[0])


@interpreted
def test_the_formula_is_what_the_kernel_moves():
    """But for the document numbers, 8 bytes for each query and each key that a program reads."""
    B, T, H, N, M = 2, 21, 2, 10, 7
    q, k, v = torch.randn(B, T, H, N), torch.randn(B, T, H, N), torch.randn(B, T, H, M)
    with count_traffic() as moved:
        _practice("online_attention")(q, k, v, torch.ones(B, T, dtype=torch.int64), 1.0)
    documents = 8 * B * H * (T + 16 + 21)
    assert moved.read + moved.written == _practice("traffic")(B, T, H, N, M, 16, 4) + documents


@interpreted
@pytest.mark.parametrize("cell", [name for name in CELLS if name.endswith("-use")])
def test_use_cells_show_what_they_say(names, cell, capsys):
    exec(CELLS[cell], names)
    assert "not yet" not in capsys.readouterr().out


@interpreted
@pytest.mark.slow
def test_a_model_learns_with_the_kernel_and_is_clipped(names, capsys):
    exec(CELLS["train"], names)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5 and not any(" 0 heads clipped" in line for line in lines[:2])


COMPILE = """
import torch

from bench.gate import compile_only
from labs.course.bake import function_of
from labs.course.find import load_spec
from labs.course.twist import changed

for exercise in load_spec("lab07").coding:
    function, case = function_of(exercise.practice.solution), exercise.practice.cases(0)[-1]
    for arch in (75, 90) if case.kernel else ():
        found = []
        with compile_only(arch, found, exercise.name):
            function(*(each.to("meta") if isinstance(each, torch.Tensor) else each for each in case.args))
        print(exercise.name, arch, *(report.stack for report in found))
"""


@pytest.mark.slow
def test_the_practice_kernels_compile_for_a_t4_and_an_h100_without_spills():
    environment = os.environ | {"TRITON_INTERPRET": "0", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", COMPILE], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300
    )
    kernels = ["masked_add", "rms_norm", "tile_product", "online_attention", "attention_with_maxima"]
    assert done.stdout.splitlines() == [f"{name} {arch} 0" for name in kernels for arch in (75, 90)], done.stderr


ELSEWHERE = [  # wrong answers that once passed, and what is said of them
    ("masked_add", [("tl.load(y_ptr + n, mask=inside)", "tl.load(y_ptr + n)")], "read outside"),
    ("masked_add", [("torch.empty_like(x_N)", "y_N")], "an argument was changed"),
    ("rms_norm", [("inside, other=0.0)\n    x = x", "inside)\n    x = x")], "NaN"),
    ("tile_product", [("(m < M) & (k[None, :] < K)", "k[None, :] < K")], "read outside"),
    ("tile_product", [("c = tl.dot(a, b,", "c = tl.dot(a.to(tl.float16), b.to(tl.float16),")], ""),
    ("online_attention", [("tl.maximum(largest, tl.max(logits, 1))", "tl.max(logits, 1)")], "NaN"),
    ("online_attention", [('tl.full((TILE,), float("-inf"), tl.float32)', "tl.zeros((TILE,), tl.float32)")], "NaN"),
    ("online_attention", [('tl.where(seen, logits, float("-inf"))', "tl.where(seen, logits, -100.0)")], "numbers are off"),
    ("attention_with_maxima", [("tl.max(largest, 0)", "tl.max(tl.max(logits, 1), 0)")], "result[1]"),
    (
        "attention_with_maxima",  # sequences of one head written over each other
        [
            ("B * H, grid[0])", "H, grid[0])"),
            ("tl.program_id(1) * tl.num", "h * tl.num"),
            (".view(B, H, -1).amax((0, 2))", ".amax(1)"),
        ],
        "result[1]",
    ),
]


@interpreted
@pytest.mark.parametrize(("name", "patches", "said"), ELSEWHERE)
def test_wrong_answers_that_once_passed_do_not(name, patches, said):
    practice = SPEC[name].practice
    wrong = function_of(changed(practice.solution, *patches))
    for check in (outcomes(SPEC[name], practice), measure(practice, practice.cases(9), [])):
        found = [difference(case["expected"], attempt(wrong, case["case"])) for case in check["cases"]]
        assert any(text and said in text for text in found), found


def test_without_triton_the_reader_is_told_where_to_go(monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "triton" else real(name))
    with pytest.raises(RuntimeError, match="pip install triton==.*macOS and Windows.*Colab"):
        exec(CELLS["imports"], {"lab": None})


def test_k2s_numbers_are_those_of_the_text():
    text, c = CELLS["attention-with-maxima-text"], km.K2
    assert "64 heads of 8,192 x 8,192 logits, 8.6 GB in bf16" in text
    assert c.num_attention_heads == 64 and round(2 * 64 * 8192**2 / 1e9, 1) == 8.6


@pytest.mark.slow
def test_in_the_sandbox_a_later_kernel_of_the_same_name_takes_no_place():
    twist = SPEC["masked_add"].twists[0]
    hidden = measure(twist, twist.cases(9), [])["cases"]

    def marked(*sources):
        cells = [{"cell_type": "code", "source": source} for source in sources]
        tried, notes = handin.try_functions(cells, {twist.function: [case["case"] for case in hidden]})
        return tried[twist.function].outcomes, notes

    answer = twist.solution.replace("my_add_kernel", "kernel")
    later = "@triton.jit\ndef kernel(x_ptr):\n    pass\n\n\ndef my_rms_norm(x):\n    return x"
    imports = "import torch\nimport triton\nimport triton.language as tl"
    right = [case["expected"] for case in hidden]
    try:
        assert marked(imports, "%time 1", answer, later) == (right, [])
    except SandboxUnavailable as error:
        pytest.skip(str(error))
    helper = "def helper(N):\n    return triton.cdiv(N, 16)"  # what stands below still is known above
    assert marked(imports, answer.replace("triton.cdiv(N, 16)", "helper(N)"), helper) == (right, [])
    assert marked(CELLS["imports"], CELLS["example"], answer) == (right, []), "no remark for who did nothing wrong"
