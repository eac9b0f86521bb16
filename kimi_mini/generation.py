"""generate and draw_answers: continue prompts token by token over the latent cache, many at a time.

The prompts, padded to one length, are read in a single pass that fills the cache; then each pass feeds one token per
sequence. Only the last position goes through the head. Sequences that are finished leave the batch. Several answers to one
prompt share its reading: the filled cache is repeated.
(The module is not called `generate`, so that it cannot take the function's place as `kimi_mini.generate`.)

Legend: B sequences still running, T tokens, D width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor

from .checks import is_int, require
from .config import ModelConfig
from .device import at_least_fp32
from .model import KimiMini, LatentCache


def generate(
    model: KimiMini,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    temperature: float = 0.0,
    top_p: float = 1.0,
    eos: int | None = None,
    seed: int | None = None,
) -> list[list[int]]:
    """The new tokens of each prompt, in order; prompts may differ in length.

    A sequence ends before the token `eos` (which is not returned) or after `max_new_tokens`. Temperature 0 takes the most
    likely token; otherwise tokens are drawn from softmax(logits / temperature), cut to the `top_p` nucleus. The same
    `seed` and the same prompts give the same tokens (None: torch's global generator). Batch neighbours change a greedy
    answer no more than rounding does.

    Raises ValueError for an empty prompt, a token id outside the vocabulary, a length beyond max_position_embeddings, and
    for `max_new_tokens` < 1, `temperature` < 0 or `top_p` outside (0, 1].
    """
    prompts = [list(prompt) for prompt in _sequences(prompts)]
    _check(model.config, prompts, max_new_tokens, temperature, top_p, eos)
    if not prompts:
        return []
    ends = () if eos is None else (eos,)
    budgets = [max_new_tokens] * len(prompts)
    with _evaluating(model, seed) as generator:
        answers = _decode(model, prompts, 1, budgets, ends, lambda logits_BV: sample(logits_BV, temperature, top_p, generator))
    return [answer.tokens[: len(answer.tokens) - answer.finished] for answer in answers]


class Answer(NamedTuple):
    """What was drawn after a prompt: tokens (the end token included), the natural logarithm of the model's probability of
    each at temperature 1, and whether an end token came within the budget."""

    tokens: list[int]
    logprobs: list[float]
    finished: bool


def draw_answers(
    model: KimiMini,
    prompts: Sequence[Sequence[int]],
    *,
    budgets: Sequence[int],
    ends: Sequence[int],
    group: int = 1,
    temperature: float = 1.0,
    seed: int | None = None,
) -> list[Answer]:
    """`group` answers to each prompt, those of one prompt side by side; every prompt is read once.

    An answer to prompt p ends with a token of `ends`, which belongs to it, or after `budgets[p]` tokens. Tokens are drawn from
    softmax(logits / temperature), the most likely one at temperature 0; their log-probabilities are those of temperature 1,
    as a forward pass over prompt and answer gives them. The same `seed` and prompts give the same answers (None: torch's
    global generator). Raises ValueError as `generate` does, and for budgets that are not one for each prompt.
    """
    prompts = [list(prompt) for prompt in _sequences(prompts)]
    require(len(budgets) == len(prompts), "budgets", budgets, f"one for each of the {len(prompts)} prompts")
    require(is_int(group, 1), "group", group, "an integer >= 1")
    for eos in (None, *ends):
        _check(model.config, prompts, max(budgets, default=1), temperature, 1.0, eos)
    if not prompts:
        return []
    require(min(budgets) >= 1, "budgets", budgets, "integers >= 1")
    with _evaluating(model, seed) as generator:
        return _decode(model, prompts, group, budgets, ends, lambda logits_BV: sample(logits_BV, temperature, 1.0, generator))


@contextmanager
def _evaluating(model: KimiMini, seed: int | None) -> Iterator[torch.Generator | None]:
    """The model in eval mode, and a generator of its own for a seed."""
    was_training = model.training
    model.eval()
    try:
        yield None if seed is None else torch.Generator(model.embed.weight.device).manual_seed(seed)
    finally:
        model.train(was_training)


@torch.inference_mode()
def _decode(
    model: KimiMini,
    prompts: list[list[int]],
    group: int,
    budgets: Sequence[int],
    ends: Sequence[int],
    choose: Callable[[Tensor], Tensor],
) -> list[Answer]:
    """Every sequence's place in tokens_NT and logprobs_NT is filled as it goes; one look at the device a pass."""
    hidden_BD, cache = _prefill(model, prompts, max(budgets))
    cache.repeat_(group)
    hidden_BD, device = hidden_BD.repeat_interleave(group, 0), hidden_BD.device
    budget_B = torch.tensor(budgets, device=device).repeat_interleave(group)
    end_E = torch.tensor(ends, dtype=torch.long, device=device)
    row_B = torch.arange(len(budget_B), device=device)
    length_N, finished_N = torch.zeros_like(budget_B), torch.zeros_like(budget_B, dtype=torch.bool)
    tokens_NT = budget_B.new_zeros(len(budget_B), max(budgets))
    logprobs_NT = torch.zeros(tokens_NT.shape, dtype=at_least_fp32(hidden_BD.dtype), device=device)
    for step in range(max(budgets)):
        logits_BV = model.logits(hidden_BD)
        token_B = choose(logits_BV)
        tokens_NT[row_B, step], logprobs_NT[row_B, step] = token_B, token_logprobs(logits_BV, token_B)
        ended_B = torch.isin(token_B, end_E)
        length_N[row_B], finished_N[row_B] = step + 1, ended_B
        going_B = ~ended_B & (budget_B > step + 1)
        going = int(going_B.sum())
        if not going:
            break
        if going < len(going_B):
            cache.keep_(going_B)
            token_B, row_B, budget_B = token_B[going_B], row_B[going_B], budget_B[going_B]
        hidden_BD = model.trunk(token_B[:, None], cache=cache)[0][:, -1]
    rows = zip(tokens_NT.tolist(), logprobs_NT.tolist(), length_N.tolist(), finished_N.tolist(), strict=True)
    return [Answer(tokens[:length], logprobs[:length], finished) for tokens, logprobs, length, finished in rows]


def _prefill(model: KimiMini, prompts: list[list[int]], max_new_tokens: int) -> tuple[Tensor, LatentCache]:
    """Read all prompts at once: the hidden state of each one's last token, hidden_BD, and the filled cache."""
    device, dtype = model.embed.weight.device, model.compute_dtype or model.embed.weight.dtype
    cache = LatentCache(model.config, len(prompts), max(map(len, prompts)) + max_new_tokens - 1, dtype, device)
    return read_last(model, prompts, cache), cache


def read_last(model: KimiMini, prompts: list[list[int]], cache: LatentCache | None = None) -> Tensor:
    """hidden_BD of each prompt's last token, all prompts in one pass; `cache` is filled on the way."""
    device, lengths = model.embed.weight.device, [len(prompt) for prompt in prompts]
    longest = max(lengths)
    tokens_BT = torch.tensor([prompt + [0] * (longest - len(prompt)) for prompt in prompts], device=device)
    length_B = torch.tensor(lengths, device=device)
    padded = min(lengths) < longest  # without padding the prompts may take attention's shorter road
    mask_BT = torch.arange(longest, device=device) < length_B[:, None] if padded else None
    hidden_BTD, _ = model.trunk(tokens_BT, mask_BT, cache=cache)
    return hidden_BTD[torch.arange(len(prompts), device=device), length_B - 1]


def sample(logits_BV: Tensor, temperature: float = 0.0, top_p: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
    """One token per row, token_B: the most likely one at temperature 0, else a draw from `token_probabilities`."""
    if temperature == 0:
        return logits_BV.argmax(-1)
    return torch.multinomial(token_probabilities(logits_BV, temperature, top_p), 1, generator=generator)[:, 0]


def token_logprobs(logits_BV: Tensor, token_B: Tensor) -> Tensor:
    """logprob_B of one token a row at temperature 1, in nats."""
    wide_BV = logits_BV.to(at_least_fp32(logits_BV.dtype))
    return wide_BV.gather(-1, token_B[..., None]).squeeze(-1) - wide_BV.logsumexp(-1)


def token_probabilities(logits_BV: Tensor, temperature: float, top_p: float = 1.0) -> Tensor:
    """probs_BV that sampling draws from: softmax(logits / temperature), cut to its nucleus and made to sum to 1 again.

    The nucleus is the smallest set of most likely tokens whose probabilities reach `top_p` (arXiv 1904.09751).
    """
    logits_BV = logits_BV.to(at_least_fp32(logits_BV.dtype))
    below_best_BV = logits_BV - logits_BV.amax(-1, keepdim=True)  # so that no temperature overflows
    probs_BV = (below_best_BV / max(temperature, torch.finfo(logits_BV.dtype).tiny)).softmax(-1)
    if top_p == 1:
        return probs_BV
    sorted_BV, order_BV = probs_BV.sort(-1, descending=True)
    before_BV = sorted_BV.cumsum(-1) - sorted_BV  # mass of all likelier tokens
    kept_BV = sorted_BV.masked_fill(before_BV >= top_p, 0)
    return torch.zeros_like(probs_BV).scatter_(-1, order_BV, kept_BV / kept_BV.sum(-1, keepdim=True))


# ---- checks, on the host's lists: a GPU would only notice too late ----------------------------------------------------


def _sequences(prompts: Sequence[Sequence[int]]) -> Sequence[Sequence[int]]:
    for i, prompt in enumerate(prompts):
        if not isinstance(prompt, Sequence) or isinstance(prompt, str):
            raise ValueError(f"prompts[{i}] is a {type(prompt).__name__}; expected a list of token ids for each prompt")
    return prompts


def _check(
    c: ModelConfig, prompts: list[list[int]], max_new_tokens: int, temperature: float, top_p: float, eos: int | None
) -> None:
    require(is_int(max_new_tokens, 1), "max_new_tokens", max_new_tokens, "an integer >= 1")
    require(0 <= temperature < float("inf"), "temperature", temperature, "a number >= 0")
    require(0 < top_p <= 1, "top_p", top_p, "a number above 0 and at most 1")
    ids = f"a token id from 0 to {c.vocab_size - 1}"
    require(eos is None or (is_int(eos, 0) and eos < c.vocab_size), "eos", eos, f"None or {ids}")
    for i, prompt in enumerate(prompts):
        require(len(prompt) > 0, f"prompts[{i}]", prompt, "at least one token; a text begins with [BOS]")
        for token in prompt:
            require(is_int(token, 0) and token < c.vocab_size, f"a token of prompts[{i}]", token, ids)
        length = len(prompt) + max_new_tokens
        require(
            length <= c.max_position_embeddings, f"length of prompts[{i}] + max_new_tokens", length,
            f"at most max_position_embeddings = {c.max_position_embeddings}",
        )  # fmt: skip
