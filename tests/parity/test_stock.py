"""KimiMini against transformers as it comes, in fp32 and half precision: logits within 1e-5, cached decoding, long prompts."""

import pytest
import torch
from transformers import DynamicCache

import kimi_mini as km
from kimi_mini.kernels import attention_torch
from kimi_mini.model import LatentCache

from .helpers import random_tokens


@torch.no_grad()
def test_logits(make_pair, case):
    pair = make_pair(case)
    tokens = random_tokens(pair.ours.config)
    theirs = pair.theirs(tokens).logits
    assert theirs.std() > 0.1  # a comparison of near-zeros would prove nothing
    torch.testing.assert_close(pair.ours(tokens).logits_BTV, theirs, atol=1e-5, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("preset", [km.NANO, km.MINI], ids=["nano", "mini"])
def test_presets(make_pair, preset):
    pair = make_pair(preset)
    tokens = random_tokens(preset, length=40)
    torch.testing.assert_close(pair.ours(tokens).logits_BTV, pair.theirs(tokens).logits, atol=1e-5, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("written_down_up_to", [1024, 0], ids=["blocks", "flash"])
def test_long_prompts_on_both_roads_of_attention(make_pair, monkeypatch, written_down_up_to):
    monkeypatch.setattr(attention_torch, "_SHORT", written_down_up_to)
    pair = make_pair("yarn")
    tokens = random_tokens(pair.ours.config, batch=1, length=300)
    torch.testing.assert_close(pair.ours(tokens).logits_BTV, pair.theirs(tokens).logits, atol=1e-5, rtol=0)


@torch.no_grad()
def test_cached_decoding(make_pair):
    pair = make_pair("yarn")
    tokens = random_tokens(pair.ours.config)
    ours, theirs = LatentCache(pair.ours.config, batch=2, capacity=13), DynamicCache(config=pair.theirs.config)
    for piece in tokens.split([5, 1, 1, 3, 1, 1, 1], dim=1):
        expected = pair.theirs(piece, past_key_values=theirs, use_cache=True).logits
        torch.testing.assert_close(pair.ours(piece, cache=ours).logits_BTV, expected, atol=1e-5, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize(("dtype", "unit"), [(torch.bfloat16, 2**-8), (torch.float16, 2**-11)])
def test_half_precision_is_as_far_from_the_truth_as_theirs(make_pair, dtype, unit):
    pair = make_pair(km.NANO, dtype)
    tokens = random_tokens(km.NANO)
    truth = make_pair(km.NANO, torch.float64).ours
    truth.load_state_dict(pair.ours.state_dict())
    truth = truth(tokens).logits_BTV
    ours, theirs = pair.ours(tokens).logits_BTV, pair.theirs(tokens).logits
    assert ours.dtype == theirs.dtype == dtype
    error, their_error = (ours - truth).std() / truth.std(), (theirs - truth).std() / truth.std()
    assert their_error < 8 * unit
    assert error < 1.5 * their_error
