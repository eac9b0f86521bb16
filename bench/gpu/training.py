"""G13 and T1: a whole training step of a model of about 1 B weights, and the fp16 road of a T4.

Legend: B sequences, T tokens, V vocabulary.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import kimi_mini as km
from kimi_mini import kernels
from kimi_mini.accounting import training_flops
from kimi_mini.kernels.work import Work
from kimi_mini.optim import OptimConfig, build_optimizer
from kimi_mini.train import StepConfig, train_step
from kimi_mini.train.loss import Batch, fitting_next_token_loss, next_token_loss

from ..harness import Case
from . import whole
from .common import OURS, Results, Way, compiled, fast_format, make_case

HF, HF_COMPILED = "transformers, torch.optim.Muon", "transformers compiled, torch.optim.Muon"
HF_FP16 = "transformers, fp16"
_CHECKED = 3  # steps after which the loss is compared
_LR, _DECAY = 1e-3, 0.1
_STEP = StepConfig(bias_rate=0.0)


def build(device: torch.device, *, batch: int, length: int, micro_batches: int, compile: int = 0, **shape: int) -> Case:
    """One update after another on one batch of random tokens: forward, backward, clipping, Muon, QK-Clip."""
    model = whole.our_model(whole.config(**shape), device, fast_format(device))
    data = [Batch(*torch.randint(shape["vocab"], (2, batch, length), device=device)) for _ in range(micro_batches)]
    start = copy.deepcopy(model.state_dict())
    name, make = (HF_COMPILED, lambda run: compiled(run, device)) if compile else (HF, lambda run: run)
    theirs = _hugging_face(whole.hf_model(model, fast_format(device)), data, make)
    ours = _ours(model, data)

    def reference() -> Results:
        """The same steps in fp32 by the torch forms."""
        twin = km.KimiMini(model.config).to(device)
        twin.load_state_dict(start)
        with kernels.using("torch"):
            return _after(_ours(twin, data))()

    steps = {OURS: ours, name: theirs}
    return make_case(
        {name: _after(step) for name, step in steps.items()}, reference, timed=steps,
        notes={"tokens per step": batch * length * micro_batches, "parameters": km.count_parameters(model.config).total},
    )  # fmt: skip


def work(*, batch: int, length: int, micro_batches: int, compile: int = 0, **shape: int) -> Work:
    """Model FLOPs alone (the share of the floor is the MFU, of the measured peak); bytes: every weight, gradient and momentum
    read and written once, in fp32."""
    c = whole.config(**shape)
    tokens = batch * length * micro_batches
    return Work(tokens * training_flops(c, length).total, 4.0 * 6 * km.count_parameters(c).total)


def build_fp16(device: torch.device, *, batch: int, length: int, **shape: int) -> Case:
    """Forward and backward with the torch forms in fp16, the loss scaled, as on a GPU without bf16."""
    model = whole.our_model(whole.config(**shape), device, torch.float16 if device.type == "cuda" else torch.float32)
    data = Batch(*torch.randint(shape["vocab"], (2, batch, length), device=device))
    hf = whole.hf_model(model, model.compute_dtype)

    def ours() -> Results:
        with kernels.using("torch"):
            model.zero_grad()
            loss_sum, count = next_token_loss(model(data.tokens_BT).logits_BTV, data)
            (loss_sum / count * _SCALE).backward()
        return {"loss": (loss_sum / count).detach()}

    def theirs() -> Results:
        hf.zero_grad()
        loss = _hf_loss(hf, data)
        (loss * _SCALE).backward()
        return {"loss": loss.detach()}

    def unlearned() -> dict[str, float]:
        """Gradients that overflowed or vanished."""
        ours()
        bad = [not p.grad.isfinite().all() or not p.grad.any() for p in model.parameters() if p.grad is not None]
        return {"gradients not finite or zero": float(sum(bad))}

    def exact() -> Results:
        twin = km.KimiMini(model.config).to(device)
        twin.load_state_dict(model.state_dict())
        with torch.no_grad(), kernels.using("torch"):
            loss_sum, count = next_token_loss(twin(data.tokens_BT).logits_BTV, data)
        return {"loss": loss_sum / count}

    return make_case({OURS: ours, HF_FP16: theirs}, exact, also=unlearned)


def work_fp16(*, batch: int, length: int, **shape: int) -> Work:
    c = whole.config(**shape)
    return Work(batch * length * training_flops(c, length).total, 4.0 * 2 * km.count_parameters(c).total)


_SCALE = 1024.0  # of the loss: fp16's small gradients would vanish

Step = Callable[[], Tensor]  # one update, its loss


def _after(step: Step) -> Way:
    def run() -> Results:
        losses = [step() for _ in range(_CHECKED)]
        return {"loss": losses[-1]}

    return run


def _ours(model: km.KimiMini, data: list[Batch]) -> Step:
    optimizer = build_optimizer(model, OptimConfig(lr=_LR, weight_decay=_DECAY))
    return lambda: torch.tensor(train_step(model, optimizer, data, fitting_next_token_loss(model), _STEP).loss)


def _hf_loss(hf: nn.Module, data: Batch) -> Tensor:
    logits_BTV = hf(data.tokens_BT, use_cache=False).logits
    return F.cross_entropy(logits_BTV.flatten(0, 1).float(), data.targets_BT.flatten())


def _hugging_face(hf: nn.Module, data: list[Batch], make: Callable) -> Step:
    """Weights in 16 bits, as peers train; Muon on every matrix inside the layers, AdamW on the rest."""
    split, rest = whole.matrices(hf)
    muon = torch.optim.Muon(split, lr=_LR, weight_decay=_DECAY, adjust_lr_fn="match_rms_adamw")
    adamw = torch.optim.AdamW(rest, lr=_LR, weight_decay=_DECAY, betas=(0.9, 0.95), fused=True)
    loss_of = make(lambda batch: _hf_loss(hf, batch))

    def step() -> Tensor:
        hf.zero_grad()
        total = 0.0
        for batch in data:
            loss = loss_of(batch) / len(data)
            loss.backward()
            total = total + loss.detach()
        torch.nn.utils.clip_grad_norm_(hf.parameters(), _STEP.max_grad_norm)
        whole.share_gradients(hf, split)
        muon.step()
        adamw.step()
        return total.cpu()

    return step
