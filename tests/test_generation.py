"""generate: the cache changes nothing, neighbours change nothing, and sampling draws from the distribution it says."""

import pytest
import torch

import kimi_mini as km
from kimi_mini.generation import sample, token_probabilities

PROMPTS = [[5, 9, 2], [7], [1, 2, 3, 4, 5, 6, 7, 8, 9], [3, 3], [11, 4, 500, 17, 2]]
SHAPES = {"nano": {}, "no q latent": {"q_lora_rank": None}, "tied": {"tie_word_embeddings": True}}


def model_of(config=km.NANO, dtype=torch.float64, seed=0):
    """A model whose weights are large enough for lively, prompt-dependent answers."""
    torch.manual_seed(seed)
    return km.KimiMini(config.replace(initializer_range=0.2)).to(dtype)


MODEL = model_of()


@torch.no_grad()
def naive_greedy(model, prompt, n, eos=None):
    """The definition: one prompt, no cache, everything again for every token."""
    tokens = list(prompt)
    for _ in range(n):
        best = model(torch.tensor([tokens])).logits_BTV[0, -1].argmax().item()
        if best == eos:
            break
        tokens.append(best)
    return tokens[len(prompt) :]


@pytest.mark.parametrize("change", SHAPES.values(), ids=SHAPES)
def test_greedy_equals_running_the_whole_model_again(change):
    model = model_of(km.NANO.replace(**change))
    answers = km.generate(model, PROMPTS, max_new_tokens=24)
    assert answers == [naive_greedy(model, prompt, 24) for prompt in PROMPTS]
    assert len({token for answer in answers for token in answer}) > 5  # the test can fail


def test_greedy_does_not_depend_on_neighbours_or_order():
    alone = [km.generate(MODEL, [prompt], max_new_tokens=12)[0] for prompt in PROMPTS]
    assert km.generate(MODEL, PROMPTS, max_new_tokens=12) == alone
    assert km.generate(MODEL, PROMPTS[::-1], max_new_tokens=12) == alone[::-1]


def test_eos_ends_a_sequence_is_not_returned_and_leaves_the_others_alone():
    free = km.generate(MODEL, PROMPTS, max_new_tokens=20)
    for eos in (free[0][0], free[2][7], free[4][19]):  # the first, a middle and the last token of an answer
        answers = km.generate(MODEL, PROMPTS, max_new_tokens=20, eos=eos)
        assert answers == [a[: a.index(eos)] if eos in a else a for a in free]
        assert answers == [naive_greedy(MODEL, prompt, 20, eos) for prompt in PROMPTS]
        assert answers != free


def test_finished_sequences_leave_the_batch(monkeypatch):
    free = km.generate(MODEL, PROMPTS[:2], max_new_tokens=6)
    eos = next(token for token in free[0] if token not in free[1])
    rows, original = [], MODEL.logits
    monkeypatch.setattr(MODEL, "logits", lambda hidden: rows.append(len(hidden)) or original(hidden))
    km.generate(MODEL, PROMPTS[:2], max_new_tokens=6, eos=eos)
    ended = free[0].index(eos) + 1
    assert rows == [2] * ended + [1] * (6 - ended)
    rows.clear()
    km.generate(MODEL, PROMPTS[:1], max_new_tokens=6, eos=free[0][0])
    assert rows == [1]


def test_up_to_the_last_position_and_not_beyond():
    model = model_of(km.NANO.replace(max_position_embeddings=16))
    assert km.generate(model, [[1] * 10], max_new_tokens=6) == [naive_greedy(model, [1] * 10, 6)]
    with pytest.raises(ValueError, match=r"length of prompts\[1\] \+ max_new_tokens = 17 .* max_position_embeddings = 16"):
        km.generate(model, [[1], [1] * 10], max_new_tokens=7)


@pytest.mark.parametrize("training", [True, False])
def test_the_model_is_left_as_it_was(training):
    model = model_of(dtype=torch.float32).train(training)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    km.generate(model, PROMPTS, max_new_tokens=3)
    assert all(module.training is training for module in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    model(torch.tensor(PROMPTS[:1])).logits_BTV.sum().backward()  # nothing of inference mode stays behind


def test_the_mode_is_restored_after_a_failure(monkeypatch):
    model = model_of(dtype=torch.float32).train()
    monkeypatch.setattr(model, "logits", lambda hidden: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        km.generate(model, PROMPTS, max_new_tokens=3)
    assert model.training


def test_half_precision_runs_in_its_own_format():
    model = model_of(dtype=torch.float32)
    model.compute_dtype = torch.bfloat16
    assert [len(a) for a in km.generate(model, PROMPTS, max_new_tokens=4, temperature=1.0, seed=0)] == [4] * len(PROMPTS)


def test_no_prompts_no_answers():
    assert km.generate(MODEL, [], max_new_tokens=3) == []


# ---- sampling ----------------------------------------------------------------------------------------------------------


def test_a_seed_repeats_and_another_differs():
    draw = [km.generate(MODEL, PROMPTS, max_new_tokens=8, temperature=1.0, seed=seed) for seed in (1, 1, 2)]
    assert draw[0] == draw[1] != draw[2]


def test_a_seed_leaves_the_global_generator_alone_and_none_uses_it():
    torch.manual_seed(3)
    km.generate(MODEL, PROMPTS, max_new_tokens=2, temperature=1.0, seed=1)
    first = km.generate(MODEL, PROMPTS, max_new_tokens=8, temperature=1.0)
    torch.manual_seed(3)
    assert km.generate(MODEL, PROMPTS, max_new_tokens=8, temperature=1.0) == first


@pytest.mark.parametrize("temperature", [1e-3, 1e-30, 5e-324])
def test_a_tiny_temperature_is_greedy(temperature):
    model = model_of(dtype=torch.float32)
    greedy = km.generate(model, PROMPTS, max_new_tokens=8)
    assert km.generate(model, PROMPTS, max_new_tokens=8, temperature=temperature, seed=0) == greedy


def test_a_tiny_nucleus_is_greedy():
    greedy = km.generate(MODEL, PROMPTS, max_new_tokens=8)
    assert km.generate(MODEL, PROMPTS, max_new_tokens=8, temperature=2.0, top_p=1e-9, seed=0) == greedy


@pytest.mark.parametrize("temperature, top_p", [(1.0, 1.0), (0.5, 1.0), (2.0, 0.7)])
def test_tokens_are_drawn_as_often_as_the_model_says(temperature, top_p):
    config = km.NANO.replace(vocab_size=12, num_hidden_layers=2)
    model, draws = model_of(config, torch.float32), 8000
    answers = km.generate(model, [[3, 1]] * draws, max_new_tokens=1, temperature=temperature, top_p=top_p, seed=0)
    seen_V = torch.bincount(torch.tensor(answers).flatten(), minlength=12) / draws
    with torch.no_grad():
        logits_V = model(torch.tensor([[3, 1]])).logits_BTV[0, -1].double()
    full_V, wanted_V = (logits_V / temperature).softmax(-1), torch.zeros(12, dtype=torch.float64)
    for token in full_V.argsort(descending=True):
        if wanted_V.sum() < top_p:
            wanted_V[token] = full_V[token]
    wanted_V /= wanted_V.sum()
    assert (wanted_V == 0).any() == (top_p < 1)
    four_sigma_V = 4 * (wanted_V * (1 - wanted_V) / draws).sqrt()
    assert ((seen_V - wanted_V).abs() <= four_sigma_V).all()


@pytest.mark.parametrize("top_p", [0.05, 0.3, 0.9, 0.999, 1.0])
def test_the_nucleus_is_the_smallest_that_reaches_its_mass(top_p):
    logits_BV = torch.randn(200, 40, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 3
    full_BV, cut_BV = logits_BV.softmax(-1), token_probabilities(logits_BV, 1.0, top_p)
    assert torch.allclose(cut_BV.sum(-1), torch.ones(200, dtype=torch.float64), rtol=0, atol=1e-14)
    for full_V, cut_V in zip(full_BV, cut_BV, strict=True):
        kept = cut_V > 0
        mass = full_V[kept].sum()
        assert mass >= top_p - 1e-14
        assert kept.sum() == 1 or mass - full_V[kept].min() < top_p  # without its least likely token it falls short
        assert kept.all() or full_V[kept].min() >= full_V[~kept].max()
        assert torch.allclose(cut_V[kept], full_V[kept] / mass, rtol=1e-13, atol=0)


def test_infinite_logits_forbid_tokens():
    logits_BV = torch.tensor([[0.0, float("-inf"), 1.0]]).expand(500, 3)
    drawn = sample(logits_BV, 1.0, 0.99, torch.Generator().manual_seed(0))
    assert set(drawn.tolist()) == {0, 2}


# ---- errors ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change, message",
    [
        ({"prompts": [[1], []]}, r"prompts\[1\] = \[\] .*at least one token"),
        ({"prompts": [[1], [2, 512]]}, r"a token of prompts\[1\] = 512 .* from 0 to 511"),
        ({"prompts": [[-1]]}, r"a token of prompts\[0\] = -1"),
        ({"prompts": [[1.0]]}, r"a token of prompts\[0\] = 1.0"),
        ({"prompts": [1, 2]}, r"prompts\[0\] is a int; expected a list of token ids"),
        ({"prompts": "hello"}, r"prompts\[0\] is a str; expected a list of token ids"),
        ({"max_new_tokens": 0}, "max_new_tokens = 0 .*>= 1"),
        ({"max_new_tokens": 2.0}, "max_new_tokens = 2.0"),
        ({"max_new_tokens": 510}, r"length of prompts\[0\] \+ max_new_tokens = 513"),
        ({"temperature": -0.1}, "temperature = -0.1 .*>= 0"),
        ({"temperature": float("nan")}, "temperature = nan"),
        ({"top_p": 0.0}, "top_p = 0.0 .*above 0"),
        ({"top_p": 1.1}, "top_p = 1.1"),
        ({"eos": 512}, "eos = 512 .* from 0 to 511"),
    ],
)
def test_bad_arguments_are_refused_before_any_work(monkeypatch, change, message):
    monkeypatch.setattr(MODEL, "trunk", lambda *a, **k: pytest.fail("work was done"))
    arguments = {"prompts": [[1, 2, 3]], "max_new_tokens": 4} | change
    with pytest.raises(ValueError, match=message):
        km.generate(MODEL, arguments.pop("prompts"), **arguments)


def test_the_function_keeps_its_name():
    import kimi_mini.generation  # noqa: F401  (a submodule called `generate` would replace km.generate here)

    assert callable(km.generate)
