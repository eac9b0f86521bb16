"""Answers drawn over the cache: their log-probabilities are a training forward's, groups share a reading, budgets hold."""

import pytest
import torch

import kimi_mini as km
from kimi_mini.chat import prompt
from kimi_mini.chat.template import END
from kimi_mini.generation import draw_answers
from kimi_mini.rl import Problem
from kimi_mini.rl.sampler import draw_rollouts, text_of

PROMPTS = [[5, 9, 2], [7], [1, 2, 3, 4, 5, 6, 7, 8, 9]]


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return km.KimiMini(km.NANO.replace(initializer_range=0.2))


@pytest.fixture(scope="module")
def mini():
    return km.load_mini()


def forward_logprobs(model, prompt_tokens, answer):
    """The definition: one sequence, no cache, no padding."""
    tokens = torch.tensor([[*prompt_tokens, *answer]])
    with torch.no_grad():
        logprobs = model(tokens).logits_BTV[0].log_softmax(-1)
    return [logprobs[len(prompt_tokens) + i - 1, token].item() for i, token in enumerate(answer)]


@pytest.mark.parametrize("temperature", [0.0, 0.7, 1.3])
def test_log_probabilities_are_those_of_a_forward_pass_at_temperature_1(model, temperature):
    answers = draw_answers(model, PROMPTS, budgets=[12, 5, 9], ends=(3,), group=3, temperature=temperature, seed=1)
    for place, answer in enumerate(answers):
        expected = forward_logprobs(model, PROMPTS[place // 3], answer.tokens)
        assert answer.logprobs == pytest.approx(expected, abs=1e-4)


def test_budgets_and_ends_hold_for_every_row(model):
    ends = tuple(range(0, 400))  # so likely that some answers end
    answers = draw_answers(model, PROMPTS, budgets=[1, 6, 3], ends=ends, group=16, seed=0)
    for place, answer in enumerate(answers):
        budget = [1, 6, 3][place // 16]
        assert 1 <= len(answer.tokens) == len(answer.logprobs) <= budget
        assert answer.finished == (answer.tokens[-1] in ends)
        assert not any(token in ends for token in answer.tokens[:-1])
        assert answer.finished or len(answer.tokens) == budget
    assert {answer.finished for answer in answers} == {True, False}


def test_a_group_shares_one_reading_and_greedy_equals_generate(model, monkeypatch):
    alone = km.generate(model, PROMPTS, max_new_tokens=6)
    rows, original = [], model.trunk
    monkeypatch.setattr(model, "trunk", lambda tokens, *a, **k: rows.append(tuple(tokens.shape)) or original(tokens, *a, **k))
    answers = draw_answers(model, PROMPTS, budgets=[6] * 3, ends=(), group=4, temperature=0)
    assert [answer.tokens for answer in answers] == [tokens for tokens in alone for _ in range(4)]
    assert rows == [(3, 9)] + [(12, 1)] * 5


def test_a_seed_fixes_the_answers_and_leaves_the_global_generator_alone(model):
    before = torch.get_rng_state()
    first, again, other = (draw_answers(model, PROMPTS, budgets=[8] * 3, ends=(), group=2, seed=s) for s in (1, 1, 2))
    assert first == again != other
    assert torch.equal(torch.get_rng_state(), before)
    assert first[0].tokens != first[1].tokens, "the answers of a group are drawn one by one"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"budgets": [3, 3]}, "one for each of the 3 prompts"),
        ({"budgets": [3, 0, 3]}, "budgets"),
        ({"group": 0}, "group = 0"),
        ({"ends": (10**6,)}, "eos = 1000000"),
        ({"temperature": -1.0}, "temperature"),
        ({"budgets": [3, 10**6, 3]}, "max_position_embeddings"),
    ],
)
def test_bad_input_is_named(model, changes, message):
    with pytest.raises(ValueError, match=message):
        draw_answers(model, PROMPTS, **{"budgets": [3] * 3, "ends": ()} | changes)


def test_rollouts_come_by_problem_and_carry_what_the_loss_needs(mini):
    model, tokenizer = mini
    problems = [
        Problem("greet", f"greet-{name}", ({"role": "user", "content": f"Say hello to {name}."},), {}, budget=budget)
        for name, budget in (("Ada", 24), ("Boris", 2))
    ]
    rollouts = draw_rollouts(model, tokenizer, problems, 3, temperature=0.1, seed=0, version=7)
    assert [len(group) for group in rollouts] == [3, 3]
    for problem, group in zip(problems, rollouts, strict=True):
        for one in group:
            assert one.version == 7 and all(one.mask) and len(one.mask) == len(one.tokens) == len(one.logprobs)
            expected = forward_logprobs(model, prompt(problem.messages, (), tokenizer), one.tokens)
            assert one.logprobs == pytest.approx(expected, abs=1e-4)
    ada, boris = rollouts[0][0], rollouts[1][0]
    assert ada.finished and ada.tokens[-1] == tokenizer.id(END) and text_of(ada, tokenizer).startswith("Hello")
    assert not boris.finished and len(boris.tokens) == 2 and END not in text_of(boris, tokenizer)
