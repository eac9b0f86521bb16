"""The latent cache: decoding in pieces is one forward; sequences of unequal length share a batch; its size is as accounted."""

import pytest
import torch

import kimi_mini as km
from kimi_mini.accounting import cache_bytes
from kimi_mini.model import LatentCache

CONFIG = km.NANO.replace(initializer_range=0.3, rope_scaling=km.YarnScaling(8.0, 64, mscale=1.0, mscale_all_dim=1.0))


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return km.KimiMini(CONFIG).double().requires_grad_(False)


def make_cache(batch: int, capacity: int) -> LatentCache:
    return LatentCache(CONFIG, batch, capacity, dtype=torch.float64)


def random_tokens(batch: int, length: int) -> torch.Tensor:
    return torch.randint(CONFIG.vocab_size, (batch, length), generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("pieces", [[12], [1] * 12, [5, 1, 1, 5], [11, 1], [1, 11]], ids=str)
def test_pieces_make_the_whole(model, pieces):
    tokens = random_tokens(3, 12)
    whole = model(tokens)
    cache = make_cache(3, 12)
    outputs = [model(piece, cache=cache) for piece in tokens.split(pieces, 1)]
    torch.testing.assert_close(torch.cat([o.logits_BTV for o in outputs], 1), whole.logits_BTV, atol=1e-12, rtol=0)
    largest = torch.stack([o.stats.max_logits_LH for o in outputs]).amax(0)
    torch.testing.assert_close(largest, whole.stats.max_logits_LH, atol=1e-12, rtol=0)
    assert torch.equal(sum(o.stats.expert_load_LE for o in outputs), whole.stats.expert_load_LE)
    assert cache.lengths_B.tolist() == [12, 12, 12]


def ragged(tokens: torch.Tensor, lengths: list[int]) -> torch.Tensor:
    return torch.arange(tokens.shape[1]) < torch.tensor(lengths)[:, None]


def test_unequal_prompts_decode_as_if_alone(model):
    # Prompts of 3, 8 and 1 tokens, padded to 8; then steps in which each sequence goes on from its own length.
    lengths, steps = [3, 8, 1], 4
    prompt, more = random_tokens(3, 8), random_tokens(3, 20)[:, -steps:]
    cache = make_cache(3, 8 + steps)
    first = model(prompt, ragged(prompt, lengths), cache=cache)
    assert cache.lengths_B.tolist() == lengths
    later = [model(more[:, i : i + 1], cache=cache) for i in range(steps)]
    assert cache.lengths_B.tolist() == [n + steps for n in lengths]
    for b, n in enumerate(lengths):
        alone = model(torch.cat((prompt[b, :n], more[b]))[None]).logits_BTV[0]
        torch.testing.assert_close(first.logits_BTV[b, :n], alone[:n], atol=1e-12, rtol=0)
        torch.testing.assert_close(torch.stack([o.logits_BTV[b, 0] for o in later]), alone[n:], atol=1e-12, rtol=0)


def test_sequences_may_pause(model):
    # A finished sequence is masked in later steps: its length stays and its neighbours do not notice.
    tokens = random_tokens(2, 6)
    cache = make_cache(2, 8)
    model(tokens[:, :3], cache=cache)
    paused = torch.tensor([[True], [False]])
    model(tokens[:, 3:4], paused, cache=cache)
    step = model(tokens[:, 4:5], paused, cache=cache)
    assert cache.lengths_B.tolist() == [5, 3]
    torch.testing.assert_close(step.logits_BTV[0, 0], model(tokens[:1, :5]).logits_BTV[0, 4], atol=1e-12, rtol=0)
    resumed = model(tokens[:, 3:4], cache=cache)
    torch.testing.assert_close(resumed.logits_BTV[1, 0], model(tokens[1:, :4]).logits_BTV[0, 3], atol=1e-12, rtol=0)


def test_a_long_step_over_unequal_lengths(model):
    lengths = [4, 2]
    prompt, more = random_tokens(2, 4), random_tokens(2, 9)[:, -5:]
    cache = make_cache(2, 9)
    stats = model(prompt, ragged(prompt, lengths), cache=cache).stats
    new = [2, 5]
    step = model(more, ragged(more, new), cache=cache)
    stats = step.stats.merge(stats)
    assert cache.lengths_B.tolist() == [6, 7]
    expected = None
    for b, (n, m) in enumerate(zip(lengths, new, strict=True)):
        alone = model(torch.cat((prompt[b, :n], more[b, :m]))[None])
        torch.testing.assert_close(step.logits_BTV[b, :m], alone.logits_BTV[0, n:], atol=1e-12, rtol=0)
        expected = alone.stats.merge(expected)
    torch.testing.assert_close(stats.max_logits_LH, expected.max_logits_LH, atol=1e-12, rtol=0)
    assert torch.equal(stats.expert_load_LE, expected.expert_load_LE)


def test_padding_stays_out_of_the_stats(model):
    prompt = random_tokens(2, 8)
    lengths = [8, 3]
    padded = model(prompt, ragged(prompt, lengths), cache=make_cache(2, 8)).stats
    alone = [model(prompt[b : b + 1, :n]).stats for b, n in enumerate(lengths)]
    merged = alone[0].merge(alone[1])
    torch.testing.assert_close(padded.max_logits_LH, merged.max_logits_LH, atol=1e-12, rtol=0)
    assert torch.equal(padded.expert_load_LE, merged.expert_load_LE)


@pytest.mark.parametrize(("dtype", "size"), [(torch.float32, 4), (torch.bfloat16, 2), (torch.float64, 8)])
@pytest.mark.parametrize("config", [km.NANO, km.MINI], ids=["nano", "mini"])
def test_bytes_are_as_accounted(config, dtype, size):
    cache = LatentCache(config, batch=3, capacity=7, dtype=dtype)
    assert cache.nbytes == cache.entries_LBSX.nbytes == 3 * cache_bytes(config, 7, bytes_per_element=size)


def test_size_does_not_depend_on_heads():
    wide = CONFIG.replace(num_attention_heads=16)
    assert LatentCache(wide, 2, 5).nbytes == LatentCache(CONFIG, 2, 5).nbytes


def test_a_bf16_cache_holds_what_a_bf16_model_makes():
    torch.manual_seed(0)
    model = km.KimiMini(CONFIG).bfloat16()
    cache = LatentCache(CONFIG, 2, 6, dtype=torch.bfloat16)
    tokens = random_tokens(2, 6)
    with torch.no_grad():
        pieces = torch.cat([model(t, cache=cache).logits_BTV for t in tokens.split([4, 1, 1], 1)], 1).float()
        whole = model(tokens).logits_BTV.float()
    assert (pieces - whole).norm() < 0.05 * whole.norm()


def test_no_room_left_is_said_before_anything_is_written(model):
    cache = make_cache(2, 4)
    model(random_tokens(2, 3), cache=cache)
    before = cache.entries_LBSX.clone()
    with pytest.raises(ValueError, match="holds 4 tokens, 3 are used and 2 more"):
        model(random_tokens(2, 2), cache=cache)
    assert torch.equal(cache.entries_LBSX, before) and cache.lengths_B.tolist() == [3, 3]
    model(random_tokens(2, 1), cache=cache)


def test_another_batch_is_refused(model):
    with pytest.raises(ValueError, match="made for 2 sequences; this batch has 3"):
        model(random_tokens(3, 1), cache=make_cache(2, 4))


@pytest.mark.parametrize("mask", [[0, 0, 1, 1], [1, 0, 1, 0], [1, 1, 2, 2]])
def test_only_padding_on_the_right_can_be_cached(model, mask):
    with pytest.raises(ValueError, match="mask_BT has padding before a token, or packed documents"):
        model(random_tokens(1, 4), torch.tensor([mask]), cache=make_cache(1, 8))


def test_the_cache_holds_no_graph(model):
    cache = make_cache(1, 8)
    logits_BTV = model.requires_grad_()(random_tokens(1, 4), cache=cache).logits_BTV
    assert logits_BTV.requires_grad
    assert not cache.entries_LBSX.requires_grad


def test_finished_sequences_leave(model):
    cache, tokens = make_cache(3, 8), random_tokens(3, 4)
    model(tokens, cache=cache)
    cache.keep_(torch.tensor([True, False, True]))
    ours = model(tokens[[0, 2], :1], cache=cache).logits_BTV
    alone = model(torch.cat((tokens, tokens[:, :1]), 1)).logits_BTV[[0, 2], -1:]
    torch.testing.assert_close(ours, alone)
