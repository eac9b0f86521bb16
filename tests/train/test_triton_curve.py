"""A run on the Triton kernels follows the run on the torch forms: loss, gradient norm, largest logits, expert loads."""

import math

import pytest
import torch

import kimi_mini as km
from kimi_mini import kernels
from kimi_mini.device import default_compute_dtype
from kimi_mini.optim import OptimConfig, build_optimizer
from kimi_mini.train import Batch, StepConfig, train_step
from kimi_mini.train.loss import fitting_next_token_loss

pytest.importorskip("triton", reason="triton is not installed: no kernel was run")

OPERATIONS = "add_rms_norm attention grouped_mlp linear_cross_entropy newton_schulz rms_norm rope route swiglu".split()

# NANO's architecture with every width under the interpreter's tiles or just past them.
TINY = km.NANO.replace(
    vocab_size=40, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, q_lora_rank=12, kv_lora_rank=12,
    qk_nope_head_dim=8, qk_rope_head_dim=4, v_head_dim=8, intermediate_size=20, moe_intermediate_size=8, n_routed_experts=4,
    initializer_range=0.3,
)  # fmt: skip
# 1.1 billion parameters, of which 0.2 billion work on a token.
BILLION = km.MOONLIGHT.replace(
    vocab_size=32_768, hidden_size=1024, num_hidden_layers=12, num_attention_heads=8, kv_lora_rank=256,
    intermediate_size=2816, moe_intermediate_size=512, n_routed_experts=56, num_experts_per_tok=4, n_shared_experts=1,
    bos_token_id=None, eos_token_id=None,
)  # fmt: skip


def successors(config, rows, length, seed, device="cpu"):
    """A batch of a language that can be learned: each token is its predecessor's image, now and then another."""
    g = torch.Generator().manual_seed(seed)
    image_V = torch.randperm(config.vocab_size, generator=torch.Generator().manual_seed(0))
    ids = torch.randint(config.vocab_size, (rows, length + 1), generator=g)
    keep = torch.rand(rows, length, generator=g) < 0.9
    for t in range(length):
        ids[:, t + 1] = torch.where(keep[:, t], image_V[ids[:, t]], ids[:, t + 1])
    return Batch(ids[:, :-1].to(device), ids[:, 1:].to(device))


def packed(batch):
    """The batch with two documents in its first row and padding behind its second."""
    document, target = torch.ones_like(batch.tokens_BT), batch.targets_BT.clone()
    position = torch.arange(document.shape[1]).repeat(len(document), 1)
    document[0, 5:], position[0, 5:] = 2, position[0, 5:] - 5
    document[1, -3:], target[1, -4:], target[0, 4] = 0, -100, -100
    return Batch(batch.tokens_BT, target, document, position)


def curve(impl, config, batches, *, lr, dtype=None, device="cpu", ns_steps=5, step=StepConfig(tau=1.0, bias_rate=0.01)):  # noqa: B008
    """The StepReport of every update of a fresh model, the same one at each call."""
    torch.manual_seed(0)
    model = km.KimiMini(config, dtype).to(device)
    optimizer = build_optimizer(model, OptimConfig(lr=lr, ns_steps=ns_steps))
    if dtype is None:
        optimizer.ns_dtype = torch.float32  # products of bf16 are wrong in the interpreter
    with kernels.using(impl):
        return [train_step(model, optimizer, [batch], fitting_next_token_loss(model), step) for batch in batches]


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here: the gpu tests run compiled")
def test_a_tiny_run_is_the_same_run(monkeypatch):
    ran, load = set(), kernels.import_module
    monkeypatch.setattr(kernels, "import_module", lambda name, package: ran.add(name.strip(".")) or load(name, package))
    batches = [packed(successors(TINY, 2, 10, seed)) for seed in (0, 0, 0)]
    setting = dict(lr=0.05, ns_steps=1, step=StepConfig(tau=0.5, bias_rate=0.01, aux_loss_alpha=0.01))
    torch_run, triton_run = (curve(impl, TINY, batches, **setting) for impl in ("torch", "triton"))
    assert ran >= {kernels._TRITON[op] for op in OPERATIONS}
    assert torch_run[-1].loss < torch_run[0].loss - 0.1 and (torch_run[0].gamma_LH < 1).all()
    for want, got in zip(torch_run, triton_run, strict=True):
        assert got.count == want.count
        assert got.loss == pytest.approx(want.loss, rel=3e-6)
        assert got.grad_norm == pytest.approx(want.grad_norm, rel=3e-5)
        torch.testing.assert_close(got.stats.max_logits_LH, want.stats.max_logits_LH, rtol=1e-4, atol=1e-6)
        assert torch.equal(got.stats.expert_load_LE, want.stats.expert_load_LE)


def follows(got, want, tolerance=0.01):
    """Each loss within `tolerance` of the other's, and as many tokens routed; who gets the one on the edge may differ."""
    for mine, theirs in zip(got, want, strict=True):
        assert mine.loss == pytest.approx(theirs.loss, rel=tolerance)
        assert torch.equal(mine.stats.expert_load_LE.sum(1), theirs.stats.expert_load_LE.sum(1))


@pytest.mark.gpu
@pytest.mark.slow
def test_mini_for_100_steps_on_a_gpu():
    batches = [successors(km.MINI, 8, 512, seed, "cuda") for seed in range(100)]
    exact = curve("torch", km.MINI, batches, lr=3e-3, dtype=torch.float32, device="cuda")
    ours = curve("triton", km.MINI, batches, lr=3e-3, dtype=default_compute_dtype(torch.device("cuda")), device="cuda")
    assert exact[-1].loss < exact[0].loss - 1 and math.isfinite(ours[-1].loss)
    follows(ours, exact)


@pytest.mark.gpu
@pytest.mark.slow
def test_about_a_billion_parameters_on_a_gpu():
    assert 0.9e9 < km.count_parameters(BILLION).total < 1.2e9
    batches = [successors(BILLION, 4, 1024, seed, "cuda") for seed in range(10)]
    runs = [curve(impl, BILLION, batches, lr=1e-3, dtype=torch.bfloat16, device="cuda") for impl in ("torch", "triton")]
    follows(*runs)
