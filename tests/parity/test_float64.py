"""KimiMini against transformers with its fp32 casts in float64: logits, routes, gradients, cached decoding within 1e-12."""

import pytest
import torch
from transformers import DynamicCache

from kimi_mini.model import LatentCache

from .helpers import our_gradients_by_their_names, random_tokens, recorded_routes

pytestmark = pytest.mark.usefixtures("float64_transformers")


def test_logits_routes_and_gradients(make_pair, case):
    pair = make_pair(case, torch.float64)
    tokens = random_tokens(pair.ours.config)
    probe = torch.randn(*tokens.shape, pair.ours.config.vocab_size, dtype=torch.float64) / tokens.numel()
    with recorded_routes(pair) as (our_routes, their_routes):
        ours, theirs = pair.ours(tokens).logits_BTV, pair.theirs(tokens).logits
    torch.testing.assert_close(ours, theirs, atol=1e-12, rtol=0)

    assert len(our_routes) == len(their_routes) == pair.ours.config.num_moe_layers
    for (our_expert, our_weight), (their_expert, their_weight) in zip(our_routes, their_routes, strict=True):
        assert torch.equal(our_expert, their_expert)
        torch.testing.assert_close(our_weight, their_weight, atol=1e-12, rtol=0)

    (ours * probe).sum().backward()
    (theirs * probe).sum().backward()
    gradients = our_gradients_by_their_names(pair.ours)
    expected = {name: parameter.grad for name, parameter in pair.theirs.named_parameters()}
    assert gradients.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(gradients[name], gradient, atol=1e-12, rtol=0, msg=lambda m, name=name: f"{name}: {m}")


@torch.no_grad()
def test_cached_decoding(make_pair, case):
    pair = make_pair(case, torch.float64)
    config = pair.ours.config
    tokens = random_tokens(config)
    ours, theirs = LatentCache(config, 2, 13, dtype=torch.float64), DynamicCache(config=pair.theirs.config)
    whole = pair.theirs(tokens).logits
    done = 0
    for piece in tokens.split([4, 1, 1, 2, 1, 1, 1, 1, 1], dim=1):
        logits = pair.ours(piece, cache=ours).logits_BTV
        torch.testing.assert_close(
            logits, pair.theirs(piece, past_key_values=theirs, use_cache=True).logits, atol=1e-12, rtol=0
        )
        torch.testing.assert_close(logits, whole[:, done : done + piece.shape[1]], atol=1e-12, rtol=0)
        done += piece.shape[1]


@torch.no_grad()
def test_padding_on_the_right(make_pair):
    pair = make_pair("groups", torch.float64)
    tokens = random_tokens(pair.ours.config)
    mask = torch.arange(13) < torch.tensor([[13], [7]])
    ours, theirs = pair.ours(tokens, mask).logits_BTV, pair.theirs(tokens, attention_mask=mask.long()).logits
    torch.testing.assert_close(ours[mask], theirs[mask], atol=1e-12, rtol=0)


@torch.no_grad()
def test_half_split_rotary_layout_breaks_parity(make_pair):
    # Same weights, pairs (i, i + R/2) turned instead of (2i, 2i + 1).
    pair = make_pair("plain", torch.float64)
    tokens = random_tokens(pair.ours.config)
    agreed = pair.ours(tokens).logits_BTV - pair.theirs(tokens).logits
    pair.theirs.config.rope_interleave = False
    broken = pair.ours(tokens).logits_BTV - pair.theirs(tokens).logits
    assert agreed.abs().max() < 1e-12
    assert broken.abs().max() > 0.01
