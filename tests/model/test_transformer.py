"""KimiMini as a whole: independence of tokens, documents and padding; stats as values; formats; bad input."""

import math

import pytest
import torch
import torch.utils.checkpoint

import kimi_mini as km
from kimi_mini.model import ForwardStats, KimiMini, Router

CONFIG = km.NANO.replace(initializer_range=0.3)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    model = KimiMini(CONFIG).double()
    for module in model.modules():
        if isinstance(module, Router):
            module.selection_bias.normal_(std=0.2)
    return model


def random_tokens(batch: int, length: int) -> torch.Tensor:
    return torch.randint(CONFIG.vocab_size, (batch, length), generator=torch.Generator().manual_seed(5))


def close(a: torch.Tensor, b: torch.Tensor) -> None:
    torch.testing.assert_close(a, b, atol=1e-12, rtol=0)


# ---- who may know of whom --------------------------------------------------------------------------------------------


def test_the_future_does_not_matter(model):
    tokens = random_tokens(1, 10)
    changed = tokens.clone()
    changed[0, 6:] = (changed[0, 6:] + 1) % CONFIG.vocab_size
    before, after = model(tokens).logits_BTV, model(changed).logits_BTV
    close(after[:, :6], before[:, :6])
    assert (after[:, 6:] - before[:, 6:]).abs().amax(-1).min() > 1e-3


def test_neighbours_in_the_batch_do_not_matter(model):
    tokens = random_tokens(4, 9)
    whole = model(tokens).logits_BTV
    for b in range(4):
        close(model(tokens[b : b + 1]).logits_BTV, whole[b : b + 1])


@pytest.mark.parametrize("dtype", [torch.bool, torch.long])
def test_padding_does_not_matter(model, dtype):
    tokens = random_tokens(2, 9)
    mask = (torch.arange(9) < torch.tensor([[9], [4]])).to(dtype)
    out = model(tokens, mask)
    other = tokens.clone()
    other[1, 4:] = 0
    again = model(other, mask)
    close(again.logits_BTV[mask.bool()], out.logits_BTV[mask.bool()])
    close(model(tokens[1:, :4]).logits_BTV, out.logits_BTV[1:, :4])
    assert torch.equal(again.stats.expert_load_LE, out.stats.expert_load_LE)
    close(again.stats.max_logits_LH, out.stats.max_logits_LH)
    assert out.stats.expert_load_LE.sum(1).tolist() == [0, 13 * 2, 13 * 2]


@pytest.mark.parametrize("length", [12, 300])
def test_packed_documents_are_as_alone(model, length):
    tokens, cut = random_tokens(1, length), length // 3
    document = torch.ones(1, length, dtype=torch.long)
    document[:, cut:] = 2
    document[:, -2:] = 0
    positions = torch.cat((torch.arange(cut), torch.arange(length - cut)))[None]
    packed = model(tokens, document, positions)
    alone = [model(tokens[:, :cut]), model(tokens[:, cut:-2])]
    close(packed.logits_BTV[:, :-2], torch.cat([o.logits_BTV for o in alone], 1))
    merged = alone[0].stats.merge(alone[1].stats)
    close(packed.stats.max_logits_LH, merged.max_logits_LH)
    assert torch.equal(packed.stats.expert_load_LE, merged.expert_load_LE)


def test_positions_count_from_zero_and_only_distances_matter(model):
    tokens = random_tokens(2, 6)
    counted = torch.arange(6).expand(2, -1)
    expected = model(tokens).logits_BTV
    assert torch.equal(model(tokens, positions=counted).logits_BTV, expected)
    close(model(tokens, positions=counted + 100).logits_BTV, expected)
    assert (model(tokens, positions=2 * counted).logits_BTV - expected).abs().max() > 1e-3


# ---- stats -----------------------------------------------------------------------------------------------------------


def test_stats_have_one_row_per_layer(model):
    stats = model(random_tokens(2, 7)).stats
    assert stats.max_logits_LH.shape == (3, 4) and stats.expert_load_LE.shape == (3, 8)
    assert stats.expert_load_LE.dtype == torch.long
    assert stats.expert_load_LE.sum(1).tolist() == [0, 28, 28]  # the dense row stays zero
    assert not stats.max_logits_LH.requires_grad


def test_all_dense_still_has_rows():
    stats = KimiMini(CONFIG.replace(first_k_dense_replace=3))(random_tokens(2, 7)).stats
    assert stats.expert_load_LE.shape == (3, 8) and stats.expert_load_LE.sum() == 0


def test_nothing_but_padding_has_no_maximum_and_no_load(model):
    stats = model(random_tokens(2, 5), torch.zeros(2, 5, dtype=torch.bool)).stats
    assert (stats.max_logits_LH == -math.inf).all() and stats.expert_load_LE.sum() == 0


def test_stats_merge_by_maximum_and_sum(model):
    tokens = random_tokens(4, 9)
    parts = [model(part).stats for part in tokens.split(1)]
    merged = None
    for part in parts:
        merged = part.merge(merged)
    whole = model(tokens).stats
    close(merged.max_logits_LH, whole.max_logits_LH)
    assert torch.equal(merged.expert_load_LE, whole.expert_load_LE)
    assert whole.all_reduce() is whole  # no process group: nothing to reduce over


def held_tensors(model: KimiMini) -> dict[str, int]:
    """Every tensor reachable from an attribute of any module, also inside containers and tuples: name -> identity."""
    found = {}

    def look(name, value, depth=0):
        if isinstance(value, torch.Tensor):
            found[name] = (id(value), value._version)
        elif isinstance(value, (list, tuple, set)) and depth < 3:
            [look(f"{name}[{i}]", item, depth + 1) for i, item in enumerate(value)]
        elif isinstance(value, dict) and depth < 3:
            [look(f"{name}[{key}]", item, depth + 1) for key, item in value.items()]

    for prefix, module in model.named_modules():
        for name, value in vars(module).items():
            if name != "_modules":
                look(f"{prefix}.{name}", value)
    return found


def test_forward_leaves_nothing_behind_on_the_modules(model):
    before = held_tensors(model)
    assert len(before) > 40
    model(random_tokens(2, 7)).logits_BTV.sum()
    assert held_tensors(model) == before


def test_recomputing_blocks_does_not_count_twice(monkeypatch):
    torch.manual_seed(0)
    model, tokens = KimiMini(CONFIG).double(), random_tokens(2, 7)

    def loss_stats_and_gradients():
        model.zero_grad()
        logits, stats = model(tokens)
        logits.square().mean().backward()
        return stats, [p.grad.clone() for p in model.parameters()]

    plain, expected = loss_stats_and_gradients()
    calls = {"n": 0}
    for block in model.blocks:
        forward = block.forward

        def recomputed(*args, forward=forward):
            def run(*inner):
                calls["n"] += 1
                return forward(*inner)

            return torch.utils.checkpoint.checkpoint(run, *args, use_reentrant=False)

        monkeypatch.setattr(block, "forward", recomputed)
    stats, gradients = loss_stats_and_gradients()
    assert calls["n"] == 2 * len(model.blocks)  # it did run twice
    assert torch.equal(stats.expert_load_LE, plain.expert_load_LE)
    assert torch.equal(stats.max_logits_LH, plain.max_logits_LH)
    assert all(torch.equal(a, b) for a, b in zip(gradients, expected, strict=True))


# ---- weights and formats ---------------------------------------------------------------------------------------------


def test_initial_weights():
    torch.manual_seed(0)
    model = KimiMini(km.MINI)
    for name, tensor in model.state_dict().items():
        if name.endswith("norm.weight"):
            assert (tensor == 1).all()
        elif name.endswith("selection_bias"):
            assert (tensor == 0).all()
        else:
            assert tensor.std().item() == pytest.approx(km.MINI.initializer_range, rel=0.1), name
            assert abs(tensor.mean().item()) < 6 * km.MINI.initializer_range / tensor.numel() ** 0.5, name


def test_every_parameter_gets_a_gradient():
    torch.manual_seed(0)
    model = KimiMini(CONFIG)
    model(random_tokens(4, 40)).logits_BTV.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.any() for p in model.parameters())


def test_a_tied_head_reads_the_embedding():
    torch.manual_seed(0)
    model = KimiMini(CONFIG.replace(tie_word_embeddings=True))
    assert not hasattr(model, "head")
    hidden, _ = model.trunk(random_tokens(1, 3))
    assert torch.equal(model(random_tokens(1, 3)).logits_BTV, hidden @ model.embed.weight.T)


def test_trunk_and_head_make_the_forward(model):
    tokens = random_tokens(2, 5)
    hidden, stats = model.trunk(tokens)
    out = model(tokens)
    assert torch.equal(model.logits(hidden), out.logits_BTV)
    assert isinstance(stats, ForwardStats) and torch.equal(stats.max_logits_LH, out.stats.max_logits_LH)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.bfloat16, 0.05), (torch.float16, 0.01)])
@pytest.mark.parametrize("stored", ["fp32", "half"])
def test_half_precision(dtype, tolerance, stored):
    config = CONFIG.replace(initializer_range=0.1)
    torch.manual_seed(0)
    exact = KimiMini(config)
    model = KimiMini(config, compute_dtype=dtype if stored == "fp32" else None)
    model.load_state_dict(exact.state_dict())
    if stored == "half":
        model.to(dtype)
    tokens = random_tokens(4, 9)
    out, truth = model(tokens), exact(tokens)
    assert out.logits_BTV.dtype == dtype and out.stats.max_logits_LH.dtype == torch.float32
    # Rounding may flip a close route of a few tokens; the typical token must be near.
    error = (out.logits_BTV.float() - truth.logits_BTV).norm(dim=-1) / truth.logits_BTV.norm(dim=-1)
    assert error.median() < tolerance
    out.logits_BTV.float().square().mean().backward()
    wanted = torch.float32 if stored == "fp32" else dtype
    assert all(p.grad.dtype == wanted and p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


def test_double_precision_stays_double(model):
    out = model(random_tokens(1, 300))  # the long path too
    assert out.logits_BTV.dtype == out.stats.max_logits_LH.dtype == torch.float64


# ---- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [-1, 512, 10**9])
def test_tokens_outside_the_vocabulary_are_named(model, wrong):
    tokens = random_tokens(2, 4)
    tokens[1, 2] = wrong
    with pytest.raises(ValueError, match=f"token id {wrong} is out of range.*0 to 511"):
        model(tokens)


@pytest.mark.parametrize(
    "tokens",
    [torch.zeros(shape, dtype=torch.long) for shape in [(3,), (1, 2, 3), (2, 0), (0, 2)]] + [torch.zeros(2, 3)],
)
def test_misshapen_tokens_are_named(model, tokens):
    with pytest.raises(ValueError, match="tokens_BT is .*expected integers of shape"):
        model(tokens)


@pytest.mark.parametrize("name", ["mask_BT", "positions"])
def test_misshapen_arguments_are_named(model, name):
    with pytest.raises(ValueError, match=rf"{name} is .*shape \[2, 5\].*\[2, 4\]"):
        model(random_tokens(2, 4), **{name: torch.ones(2, 5, dtype=torch.long)})


def test_negative_documents_and_integer_formats_are_refused(model):
    with pytest.raises(ValueError, match="mask_BT holds -1; expected 0 for padding"):
        model(random_tokens(1, 3), torch.tensor([[1, 1, -1]]))
    with pytest.raises(ValueError, match="compute_dtype = torch.int8"):
        km.KimiMini(CONFIG, compute_dtype=torch.int8)


def test_int32_tokens_and_one_token(model):
    tokens = random_tokens(2, 4)
    assert torch.equal(model(tokens.int()).logits_BTV, model(tokens).logits_BTV)
    assert model(tokens[:, :1]).logits_BTV.shape == (2, 1, CONFIG.vocab_size)
