"""C4: greedy decoding, our `generate` over the latent cache beside transformers' `generate` as it comes.

Legend: B sequences, T tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

import kimi_mini as km

from . import tiny
from .harness import Case, Errors

OURS, HF_DEFAULT = "ours", "HF default generate"
_TEACHER_ROWS = 8  # sequences per pass of the check, so that its logits fit in memory


def build(*, batch: int, prompt: int, new: int, **shape: int) -> Case:
    """Random prompts of one length, so that neither side pads; both write exactly `new` tokens each."""
    model = tiny.our_model(tiny.config(**shape))
    hf = tiny.hf_model(model).eval()
    prompts_BT = torch.randint(shape["vocab"], (batch, prompt))
    ways: dict[str, Callable[[], Tensor]] = {
        OURS: lambda: torch.tensor(km.generate(model, prompts_BT.tolist(), max_new_tokens=new)),
        HF_DEFAULT: lambda: _hugging_face(hf, prompts_BT, new),
    }

    def check() -> Errors:
        return {name: {"tokens off the argmax": _share_off(hf, prompts_BT, way())} for name, way in ways.items()}

    return Case(ways, check, notes={"new tokens": batch * new})


def _hugging_face(model: nn.Module, prompts_BT: Tensor, new: int) -> Tensor:
    model.generation_config.eos_token_id = None
    everything_BT = model.generate(
        prompts_BT, attention_mask=torch.ones_like(prompts_BT), max_new_tokens=new, do_sample=False, pad_token_id=0
    )
    return everything_BT[:, prompts_BT.shape[1] :]


@torch.no_grad()
def _share_off(teacher: nn.Module, prompts_BT: Tensor, answers_BT: Tensor) -> float:
    """Teacher-forced: the share of answered tokens that transformers, reading all that stands before, would not choose."""
    inputs_BT = torch.cat((prompts_BT, answers_BT), 1)[:, :-1]
    logits = [
        teacher(rows, use_cache=False, logits_to_keep=answers_BT.shape[1]).logits for rows in inputs_BT.split(_TEACHER_ROWS)
    ]
    return (torch.cat(logits).argmax(-1) != answers_BT).double().mean().item()
