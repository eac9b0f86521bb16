"""A KimiMini as the agent: what it writes is read as tokens, and what outgrows it is a failed run, not a crash."""

import pytest
import torch

import kimi_mini as km
from kimi_mini.agentic import PERSONAS, Limits, ModelPlayer, ProgrammaticUser, draw_agent, draw_task, judge, passed, play, valid
from kimi_mini.chat.template import END
from kimi_mini.corpus import load_tokenizer

TOKENIZER = load_tokenizer()
TASK = draw_task("calendar", 1)


@pytest.fixture(scope="module")
def babbler():
    torch.manual_seed(0)
    return km.KimiMini(km.NANO.replace(vocab_size=TOKENIZER.vocab_size, max_position_embeddings=2048), torch.float32)


def _run(player):
    return play(TASK, draw_agent(TASK, 0), player, ProgrammaticUser(), PERSONAS[0], seed=0, limits=Limits(turns=3))


@pytest.mark.parametrize("temperature", [0.0, 1.5])
def test_a_model_that_never_learned_to_stop_is_a_failed_run(babbler, temperature):
    run = _run(ModelPlayer(babbler, TOKENIZER, "babbler", 24, temperature))
    assert run.end == "endless" and not valid(run) and not passed(judge(TASK, run))


def test_the_same_seed_draws_the_same_run(babbler):
    runs = [_run(ModelPlayer(babbler, TOKENIZER, "babbler", 24, 1.0)) for _ in range(2)]
    assert runs[0] == runs[1]


def test_a_dialogue_longer_than_the_model_counts_as_cut_off(babbler):
    short = km.KimiMini(babbler.config.replace(max_position_embeddings=64), torch.float32)
    run = _run(ModelPlayer(short, TOKENIZER, "short"))
    assert run.end == "endless" and run.messages[-1] == {"role": "assistant", "content": ""}


def test_the_end_token_closes_a_message_and_is_none_of_its_words(babbler, monkeypatch):
    from kimi_mini.agentic import players
    from kimi_mini.generation import Answer

    tokens = [*TOKENIZER.encode("I am sorry."), TOKENIZER.id(END)]
    monkeypatch.setattr(players, "draw_answers", lambda *_, **__: [Answer(tokens, [0.0] * len(tokens), True)])
    run = _run(ModelPlayer(babbler, TOKENIZER, "fixed"))
    assert run.end == "finished" and run.messages[-1]["content"] == "I am sorry."
