"""Which form runs: by the name asked for, by `using`, by the tensors and by the GPU's age."""

import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from kimi_mini import device, kernels
from kimi_mini.kernels import launch

X, WEIGHT = torch.ones(2, 8), torch.ones(8)


def on_gpu(dtype=torch.bfloat16):
    """What the choice looks at of a CUDA tensor."""
    return SimpleNamespace(device=torch.device("cuda", 0), dtype=dtype)


@pytest.fixture
def capability(monkeypatch):
    def set_to(value):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: value)

    monkeypatch.setattr(launch, "has_triton", lambda: True)
    return set_to


@pytest.mark.parametrize(("gpu", "chosen"), [((7, 5), False), ((7, 0), False), ((8, 0), True), ((8, 9), True), ((9, 0), True)])
def test_auto_is_triton_from_ampere_on(capability, gpu, chosen):
    capability(gpu)
    assert launch.can_run_triton(on_gpu()) is chosen
    assert not launch.can_run_triton(on_gpu(torch.float64))


def test_a_t4_gets_no_bf16_and_no_kernel_with_products(capability):
    capability((7, 5))
    gpu = torch.device("cuda", 0)
    assert device.default_compute_dtype(gpu) == torch.float32
    for op in kernels._TRITON:
        assert kernels._pick(op, "auto", on_gpu(torch.float16), "ref", "torch") == "torch"


def test_auto_on_an_h100_is_triton_for_every_operation_that_has_kernels(capability, monkeypatch):
    pytest.importorskip("triton", reason="triton is not installed: its modules were not looked for")
    capability((9, 0))
    for op, module in kernels._TRITON.items():
        form = kernels._pick(op, "auto", on_gpu(), "ref", "torch")
        assert form.__module__ == f"kimi_mini.kernels.{module}" and form.__name__ == op
    assert kernels._pick("cross_entropy", "auto", on_gpu(), "ref", "torch") == "torch"  # there is none
    monkeypatch.setattr(launch, "has_triton", lambda: False)
    assert kernels._pick("rms_norm", "auto", on_gpu(), "ref", "torch") == "torch"


def test_auto_takes_torch_where_a_kernel_does_not_fit(capability, monkeypatch):
    pytest.importorskip("triton", reason="triton is not installed: its modules were not looked for")
    monkeypatch.setattr(launch, "can_run_triton", lambda x: True)
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    wide = torch.ones(1, 16_385)
    torch.testing.assert_close(kernels.rms_norm(wide, wide[0], 1e-6), wide)
    q = torch.randn(1, 3, 2, 8)
    out, max_logits_H = kernels.attention(q, q, q, scale=-1.0)
    torch.testing.assert_close(max_logits_H, kernels.attention(q, q, q, scale=-1.0, impl="ref")[1])
    assert kernels.newton_schulz(torch.randn(3, 5), dtype=torch.float64).dtype == torch.float32
    with pytest.raises(launch.Unfit):  # what is asked for by name is not swapped
        kernels.rms_norm(wide, wide[0], 1e-6, impl="triton")
    with kernels.using("triton"), pytest.raises(launch.Unfit):
        kernels.rms_norm(wide, wide[0], 1e-6)


def test_auto_on_a_cpu_is_torch_even_in_the_interpreter():
    assert kernels._pick("rms_norm", "auto", X, "ref", "torch") == "torch"


def test_using_reaches_every_thread_and_ends():
    from concurrent.futures import ThreadPoolExecutor

    pick = lambda: kernels._pick("rms_norm", "auto", X, "ref", "torch")  # noqa: E731
    with kernels.using("ref"), ThreadPoolExecutor(1) as pool:
        assert pool.submit(pick).result() == "ref"
        assert kernels._pick("rms_norm", "torch", X, "ref", "torch") == "torch"  # what is asked for by name stays
    assert pick() == "torch"
    with pytest.raises(ZeroDivisionError), kernels.using("ref"):
        1 / 0  # noqa: B018
    assert pick() == "torch"


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="impl = 'cuda'.*'ref' or 'torch' or 'triton' or 'auto'"), kernels.using("cuda"):
        pass
    with pytest.raises(ValueError, match="impl = 'x'"):
        kernels.rms_norm(X, WEIGHT, 1e-6, impl="x")


def test_triton_says_why_it_cannot(monkeypatch):
    with pytest.raises(ValueError, match="cross_entropy, which has no Triton form"):
        kernels.cross_entropy(X, torch.zeros(2, dtype=torch.long), impl="triton")
    monkeypatch.setattr(launch, "has_triton", lambda: True)
    monkeypatch.setenv("TRITON_INTERPRET", "0")
    with pytest.raises(ValueError, match="TRITON_INTERPRET=1"):
        kernels.rms_norm(X, WEIGHT, 1e-6, impl="triton")
    monkeypatch.setattr(launch, "has_triton", lambda: False)
    with pytest.raises(ValueError, match="triton is not installed"):
        kernels.rms_norm(X, WEIGHT, 1e-6, impl="triton")


def test_triton_refuses_float64(monkeypatch):
    monkeypatch.setattr(launch, "has_triton", lambda: True)
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    with pytest.raises(ValueError, match="rms_norm's dtype = torch.float64.*float32"):
        kernels.rms_norm(X.double(), WEIGHT, 1e-6, impl="triton")


def test_importing_the_package_does_not_import_triton():
    code = "import sys, kimi_mini, kimi_mini.kernels; sys.exit('triton' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here: nothing is interpreted")
def test_bf16_products_are_refused_in_the_interpreter():
    pytest.importorskip("triton", reason="triton is not installed: there is no interpreter")
    x, target = torch.ones(2, 8, dtype=torch.bfloat16), torch.zeros(2, dtype=torch.long)
    with pytest.raises(ValueError, match="linear_cross_entropy's dtype = torch.bfloat16.*interpreter"):
        kernels.linear_cross_entropy(x, x, target, impl="triton")
    with pytest.raises(
        ValueError, match="dtype = torch.bfloat16.*interpreter"
    ):  # what Muon asks for on a CPU that is fast at it
        kernels.newton_schulz(X, dtype=torch.bfloat16, impl="triton")
    assert kernels.rms_norm(x, WEIGHT, 1e-6, impl="triton").dtype == torch.bfloat16  # no products there


TABLE = {name: launch.Config({"BLOCK": size}) for name, size in [("interpreter", 1), ("fp32", 2), ("hopper", 3), ("small", 4)]}


@pytest.mark.parametrize(
    ("arch", "dtype", "block"),
    [(90, torch.bfloat16, 3), (90, torch.float16, 3), (90, torch.float32, 2), (89, torch.bfloat16, 4), (80, torch.float16, 4)],
)
def test_the_row_of_a_table_is_the_gpus(monkeypatch, arch, dtype, block):
    driver = pytest.importorskip("triton.runtime", reason="triton is not installed: no driver to ask").driver
    monkeypatch.setenv("TRITON_INTERPRET", "0")
    target = SimpleNamespace(get_current_target=lambda: SimpleNamespace(arch=arch))
    monkeypatch.setattr(type(driver), "active", target, raising=True)
    assert launch.choose(TABLE, dtype).tiles == {"BLOCK": block}  # sm_80 has no row of its own here: the small one fits it


def test_the_interpreter_has_tiles_of_its_own(monkeypatch):
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    assert launch.choose(TABLE, torch.bfloat16).tiles == {"BLOCK": 1}


@pytest.mark.parametrize(("n", "blocks", "power"), [(0, 0, 1), (1, 1, 1), (3, 1, 4), (4, 1, 4), (5, 2, 8)])
def test_block_arithmetic(n, blocks, power):
    assert launch.blocks(n, 4) == blocks and launch.next_power_of_2(n) == power
