"""generate: continue prompts token by token over the latent cache, many at a time.

The prompts, padded to one length, are read in a single pass that fills the cache; then each pass feeds one token per
sequence. Only the last position goes through the head. Sequences that are finished leave the batch.
(The module is not called `generate`, so that it cannot take the function's place as `kimi_mini.generate`.)

Legend: B sequences still running, T tokens, D width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence

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
    device = model.embed.weight.device
    generator = None if seed is None else torch.Generator(device).manual_seed(seed)
    was_training = model.training
    model.eval()
    try:
        return _decode(model, prompts, max_new_tokens, eos, lambda logits_BV: sample(logits_BV, temperature, top_p, generator))
    finally:
        model.train(was_training)


@torch.inference_mode()
def _decode(model: KimiMini, prompts: list[list[int]], max_new_tokens: int, eos: int | None, choose) -> list[list[int]]:
    hidden_BD, cache = _prefill(model, prompts, max_new_tokens)
    answers: list[list[int]] = [[] for _ in prompts]
    running = list(range(len(prompts)))  # which answer each row of the batch belongs to
    for step in range(max_new_tokens):
        token_B = choose(model.logits(hidden_BD))
        tokens = token_B.tolist()
        running = [row for row, token in zip(running, tokens, strict=True) if token != eos]
        for row, token in zip(running, (token for token in tokens if token != eos), strict=True):
            answers[row].append(token)
        if not running or step == max_new_tokens - 1:
            break
        if len(running) < len(tokens):
            going_B = token_B != eos
            cache.keep_(going_B)
            token_B = token_B[going_B]
        hidden_BD = model.trunk(token_B[:, None], cache=cache)[0][:, -1]
    return answers


def _prefill(model: KimiMini, prompts: list[list[int]], max_new_tokens: int) -> tuple[Tensor, LatentCache]:
    """Read all prompts at once: the hidden state of each one's last token, hidden_BD, and the filled cache."""
    device, dtype = model.embed.weight.device, model.compute_dtype or model.embed.weight.dtype
    lengths = [len(prompt) for prompt in prompts]
    longest = max(lengths)
    tokens_BT = torch.tensor([prompt + [0] * (longest - len(prompt)) for prompt in prompts], device=device)
    length_B = torch.tensor(lengths, device=device)
    padded = min(lengths) < longest  # without padding the prompts may take attention's shorter road
    mask_BT = torch.arange(longest, device=device) < length_B[:, None] if padded else None
    cache = LatentCache(model.config, len(prompts), longest + max_new_tokens - 1, dtype, device)
    hidden_BTD, _ = model.trunk(tokens_BT, mask_BT, cache=cache)
    return hidden_BTD[torch.arange(len(prompts), device=device), length_B - 1], cache


def sample(logits_BV: Tensor, temperature: float = 0.0, top_p: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
    """One token per row, token_B: the most likely one at temperature 0, else a draw from `token_probabilities`."""
    if temperature == 0:
        return logits_BV.argmax(-1)
    return torch.multinomial(token_probabilities(logits_BV, temperature, top_p), 1, generator=generator)[:, 0]


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
