"""The offline gate (row B2): every kernel passes for GPUs that are not here, and a bad kernel would not."""

import ast
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
KERNELS = ROOT / "kimi_mini" / "kernels"
ENVIRONMENT = {**os.environ, "TRITON_INTERPRET": "0"}  # the interpreter stands in for the compiler

pytestmark = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="triton is not installed: nothing compiled")


def launched_kernels():
    """module.name of every @triton.jit function that some code launches (the others are parts of those)."""
    names = set()
    for path in KERNELS.glob("*_triton*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        jitted = {
            f.name
            for f in tree.body
            if isinstance(f, ast.FunctionDef) and any("triton.jit" in ast.unparse(d) for d in f.decorator_list)
        }
        launches = {
            ast.unparse(n.func.value) for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Subscript)
        }
        names |= {f"{path.stem}.{name}" for name in jitted & launches}
    return names


@pytest.mark.slow
@pytest.mark.parametrize(("arch", "cases"), [(90, ""), (80, "K2"), (89, "K2")])  # older GPUs: the largest shapes suffice
def test_every_kernel_passes(arch, cases, tmp_path):
    out = tmp_path / "gate.json"
    command = [sys.executable, "-m", "bench.gate", cases, "--arch", str(arch), "--json", str(out)]
    done = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=580)
    assert done.returncode == 0, done.stdout + done.stderr
    reports = json.loads(out.read_text(encoding="utf-8"))
    assert {r["arch"] for r in reports} == {arch} and all(r["stack"] == 0 and r["registers"] > 0 for r in reports)
    if arch == 90:
        assert launched_kernels() - {r["kernel"] for r in reports} == set(), "kernels without a case in bench/gate_cases.py"


BAD = """
import sys
import torch, triton, triton.language as tl
from bench.gate import reports
from kimi_mini import kernels
from kimi_mini.kernels import tiles

@triton.jit
def product(a, b, c, N: tl.constexpr, M: tl.constexpr, K: tl.constexpr):
    m, n, k = tl.arange(0, M), tl.arange(0, N), tl.arange(0, K)
    tl.store(c + m[:, None] * N + n, tl.dot(tl.load(a + m[:, None] * K + k), tl.load(b + k[:, None] * N + n)))

@triton.jit
def hoard(x, N: tl.constexpr):
    at = tl.arange(0, N)
    value = tl.load(x + at)
    for i in range(3):
        value = value - tl.max(value, 0)  # all of it, in one warp's registers
    tl.store(x + at, value)

def carried():  # attention whose last product is in flight when the loop comes round
    tiles._COMPILED = tl.constexpr(False)
    q = torch.empty(1, 4096, 1, 128, dtype=torch.bfloat16, device="meta")
    kernels.attention(q, q, q, scale=1.0, impl="triton")

def run(kernel, grid=(1,), warps=4, **sizes):
    a, c = torch.empty(1, dtype=torch.bfloat16, device="meta"), torch.empty(1, device="meta")
    return lambda: kernel[grid](*((a, a, c) if kernel is product else (c,)), **sizes, num_warps=warps)

CASES = {
    "good": run(product, M=64, N=64, K=64),
    "thin": run(product, M=16, N=16, K=32),
    "big": run(product, M=256, N=256, K=256, warps=8),
    "hoard": run(hoard, N=32768, warps=1),
    "carried": carried,
    "grid": run(product, grid=(1, 70_000), M=64, N=64, K=64),
}
for report in reports(CASES, (90,)):
    print(report.case, "|", "; ".join(report.faults()))

def waits():
    torch.ones(1, device="meta").item()
try:
    reports({"waits": waits}, (90,))
except RuntimeError as error:
    print("waits |", error)
"""


def test_bad_kernels_do_not_pass(tmp_path):
    path = tmp_path / "bad.py"
    path.write_text(BAD, encoding="utf-8")
    environment = {**ENVIRONMENT, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, str(path)], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    faults = dict(line.split(" | ", 1) if " | " in line else (line.split(" |")[0], "") for line in done.stdout.splitlines())
    assert faults["good"].strip() == ""
    assert "without wgmma" in faults["thin"]  # a quarter of the rows that wgmma multiplies at once
    assert "of shared memory of 232448" in faults["big"]
    assert "spills" in faults["hoard"]
    assert "one by one" in faults["carried"]
    assert "grid of (1, 70000)" in faults["grid"]
    assert "meta" in faults["waits"]


GROWING = """
import torch
from bench.gate import reports
from kimi_mini import kernels

def empty(*shape, dtype=torch.float16):
    return torch.empty(shape, dtype=dtype, device="meta")

def decode():
    for B in (1, 3, 16):
        cache = empty(B, 1024, 80)
        for S in (1, 2, 15, 16, 17, 100, 512, 1024):
            visible = empty(B, 1, dtype=torch.int64)
            kernels.latent_attention(empty(B, 1, 6, 80), cache[:, :S], visible, latent_dim=64, scale=0.1, impl="triton")

def prompts():
    for B, T in ((1, 48), (3, 48), (16, 48), (16, 4096), (16, 8192)):  # heads at once: all, and ever fewer
        kernels.attention(empty(B, T, 6, 48), empty(B, T, 6, 48), empty(B, T, 6, 32), scale=0.1, impl="triton")

from triton.runtime.jit import JITFunction
compiled = set()
real = JITFunction.run
def run(self, *args, **kwargs):
    kernel = real(self, *args, **kwargs)
    compiled.add((self.fn.__name__, kernel.hash))
    return kernel
JITFunction.run = run
reports({"decode": decode, "prompts": prompts}, (90,))
print(*sorted(name for name, _ in compiled))
"""


@pytest.mark.slow
def test_a_growing_cache_and_other_batches_compile_nothing_anew(tmp_path):
    path = tmp_path / "growing.py"
    path.write_text(GROWING, encoding="utf-8")
    environment = {**ENVIRONMENT, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, str(path)], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["_combine", "_forward", "_split", "_split"]  # one split, and several


def test_the_interpreter_and_unknown_cases_are_refused():
    for environment, arguments, message in (
        ({**ENVIRONMENT, "TRITON_INTERPRET": "1"}, [], "unset it"),
        (ENVIRONMENT, ["nothing"], "in its name"),
    ):
        command = [sys.executable, "-m", "bench.gate", *arguments]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 2 and message in done.stderr
