"""Dialogues in turns: what is the model's own, what the world said, and that nothing that a model writes breaks it."""

import random

import pytest
import torch

import kimi_mini as km
from kimi_mini.chat import encode
from kimi_mini.chat.template import ANSWER, ARGUMENTS, CALL_BEGIN, CALL_END, END, SECTION_BEGIN, SECTION_END
from kimi_mini.generation import Answer
from kimi_mini.rl import dialogue
from kimi_mini.rl.dialogue import play
from kimi_mini.rl.tasks.dialogues import MOST_CALLS, ToolTask
from kimi_mini.rl.tasks.requests import Request, comes_to
from kimi_mini.tools import Refused, Tool, World
from kimi_mini.tools.desk import Calculator
from kimi_mini.tools.shop import Shop


class Box(World):
    """A box of numbers; a thirteen must not go in, though the tool would take it."""

    name = "box"
    tools = (
        Tool("put", "Put a number in.", {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}, False),
        Tool("look", "What is in it.", {"type": "object", "properties": {}}),
    )

    def draw(self, seed):
        return {"box": [seed]}

    def breaches(self):
        return ["a thirteen went in"] * (13 in self.data["box"])

    def _put(self, n):
        if n < 0:
            raise Refused("no negative numbers")
        self.data["box"].append(n)
        return len(self.data["box"])

    def _look(self):
        return self.data["box"]


def ask(world, draw):
    return Request("Put 5 in.", (("put", {"n": 5}),), (("put", {"n": 6}),))


TASK = ToolTask(Box, ask, turns=4, budget=120)
PROBLEM = TASK.problem(0)


@pytest.fixture(scope="module")
def mini():
    return km.load_mini()


def call(name, arguments, number=0):
    return f"{SECTION_BEGIN}{CALL_BEGIN}functions.{name}:{number}{ARGUMENTS}{arguments}{CALL_END}{SECTION_END}{END}"


def acted(monkeypatch, mini, *script, task=TASK, tokens=None):
    """Play a dialogue in which the model writes `script`, one text a turn; one without an end is cut off."""
    turns = iter(script)

    def write(model, prompts, **settings):
        text = next(turns)
        ids = mini[1].encode(text, special=True) if isinstance(text, str) else text
        return [Answer(list(ids), [-1.0] * len(ids), ids[-1] == mini[1].id(END))] * len(prompts)

    monkeypatch.setattr(dialogue, "draw_answers", write)
    ((played,),) = play(*mini, task, [task.problem(0)], 1, temperature=1.0, seed=0)
    return played


def test_own_tokens_are_the_model_s_and_the_rest_is_the_world_s(monkeypatch, mini):
    tokenizer, written = mini[1], (call("put", '{"n":5}'), f"Done.{END}")
    played = acted(monkeypatch, mini, *written)
    tokens, mask, logprobs = played.rollout.tokens, played.rollout.mask, played.rollout.logprobs
    assert tokenizer.decode([t for t, own in zip(tokens, mask, strict=True) if own]) == "".join(written)
    told = tokenizer.decode([t for t, own in zip(tokens, mask, strict=True) if not own])
    assert told == f"<|im_system|>tool<|im_middle|>## Return of functions.put:0\n2{END}{ANSWER}"
    assert [p for p, own in zip(logprobs, mask, strict=True) if not own] == [0.0] * (len(mask) - sum(mask))
    assert played.rollout.finished and played.score.reward == 1 and played.turns == 2 and played.calls == 1


def test_the_row_is_what_training_on_the_dialogue_would_read(monkeypatch, mini):
    played = acted(monkeypatch, mini, call("put", '{"n":5}'), f"Done.{END}")
    made = [{"id": "functions.put:0", "arguments": {"n": 5}}]
    messages = [
        *PROBLEM.messages, {"role": "assistant", "content": "", "tool_calls": made},
        {"role": "tool", "tool_call_id": "functions.put:0", "content": "2"}, {"role": "assistant", "content": "Done."},
    ]  # fmt: skip
    tokens, learn = encode(messages, PROBLEM.tools, mini[1])
    length = len(played.rollout.tokens)
    assert tuple(tokens[-length:]) == played.rollout.tokens and tuple(learn[-length:]) == played.rollout.mask
    assert not any(learn[:-length])


@pytest.mark.parametrize(
    ("script", "reward", "finished"),
    [
        ([f"I put 5 in. Done.{END}"], 0, True),  # said, not done
        ([call("put", '{"n":6}'), f"Done.{END}"], 0, True),
        ([call("put", '{"n":5}'), call("put", '{"n":5}'), f"Done.{END}"], 0, True),
        ([call("put", '{"n":5}'), call("put", '{"n":-5}'), f"Done.{END}"], 1, True),  # a refused call changes nothing
        ([call("put", '{"n":"5"}'), call("put", '{"n":5}'), f"Done.{END}"], 1, True),
        ([call("drop", '{"n":5}'), call("put", '{"n":5}'), f"Done.{END}"], 1, True),
        ([call("put", '{"n":5'), call("put", '{"n":5}'), f"Done.{END}"], 1, True),
        ([f"{CALL_BEGIN}{END}", f"{ARGUMENTS}{CALL_END}{END}"], 0, True),
        ([call("look", "{}")] * 4, 0, False),  # turns run out
        ([call("put", '{"n":5}'), "Done, and on and on"], 1, False),  # cut off, with the right state
        ([call("put", "[" * 50), call("put", "NaN"), call("put", '{"n":1e400}'), END], 0, True),
    ],
)  # fmt: skip
def test_the_state_decides_and_faults_are_told(monkeypatch, mini, script, reward, finished):
    played = acted(monkeypatch, mini, *script)
    assert (played.score.reward, played.rollout.finished) == (reward, finished)


def test_a_malformed_call_is_answered_with_its_fault(monkeypatch, mini):
    played = acted(monkeypatch, mini, call("put", '{"n":5'), f"Oh.{END}")
    assert '{"error":"the arguments are no JSON' in mini[1].decode(played.rollout.tokens)
    assert played.malformed == 1 and played.calls == 0


def test_a_breach_of_policy_costs_everything(monkeypatch, mini):
    def thirteen(world, draw):
        return Request("Put 13 in.", (("put", {"n": 13}),), ())

    played = acted(monkeypatch, mini, call("put", '{"n":13}'), END, task=ToolTask(Box, thirteen))
    assert played.score.parts == {"state": 1, "policy": 0} and played.score.reward == 0


def test_letters_that_look_like_a_call_are_no_call(monkeypatch, mini):
    spelled = [*mini[1].encode(call("put", '{"n":5}').removesuffix(END)), mini[1].id(END)]
    assert acted(monkeypatch, mini, spelled).calls == 0


def test_a_flood_of_calls_is_cut(monkeypatch, mini):
    flood = call("put", '{"n":1}').removesuffix(END) * (MOST_CALLS + 9) + END
    played = acted(monkeypatch, mini, flood, END, task=ToolTask(Box, ask, budget=5000))
    assert played.calls == MOST_CALLS + 9 and played.rollout.finished and played.score.reward == 0


def test_random_tokens_never_raise(monkeypatch, mini):
    chance = random.Random(0)
    special = [mini[1].id(name) for name in (SECTION_BEGIN, CALL_BEGIN, ARGUMENTS, CALL_END, SECTION_END)]
    for _ in range(60):
        script = [
            [chance.choice(special) if chance.random() < 0.4 else chance.randrange(mini[1].vocab_size) for _ in range(20)]
            + [mini[1].id(END)]
            for _ in range(4)
        ]
        assert acted(monkeypatch, mini, *script).score.reward == 0


@pytest.mark.slow
def test_mini_plays_within_its_budget_and_a_seed_is_a_dialogue(mini):
    task = ToolTask(Calculator, budget=60)
    problems = [task.problem(seed) for seed in range(6)]
    first, again = (play(*mini, task, problems, 2, temperature=1.0, seed=3) for _ in range(2))
    assert [[one.rollout for one in group] for group in first] == [[one.rollout for one in group] for group in again]
    for group, problem in zip(first, problems, strict=True):
        for one in group:
            assert sum(one.rollout.mask) <= 60 and len(one.rollout.mask) == len(one.rollout.tokens)
            start = dialogue.prompt(problem.messages, problem.tools, mini[1])
            with torch.no_grad():
                logprobs_TV = mini[0](torch.tensor([start + list(one.rollout.tokens)])).logits_BTV[0].log_softmax(-1)
            for place, own in enumerate(one.rollout.mask):
                if own:  # every turn's log-probabilities are a forward pass's over the whole dialogue
                    token = one.rollout.tokens[place]
                    assert logprobs_TV[len(start) + place - 1, token].item() == pytest.approx(
                        one.rollout.logprobs[place], abs=1e-3
                    )


# ---- the written form -------------------------------------------------------------------------------------------------


def test_a_written_dialogue_is_played_on_a_world_of_its_own():
    task = ToolTask(Shop)
    problem = task.problem(1)
    assert [task.score(problem, task.gold(problem)).reward for _ in range(2)] == [1, 1]
    assert task.score(problem, "Done.").reward == 0
    assert task.score(problem, task.gold(problem) * 2).reward == 0  # two orders are not one


@pytest.mark.parametrize(
    ("reply", "right"),
    [
        ("3 * 4 + 5 = 17.", True), ("It is 17.", True), ("17", True), ("It is 17 or 18.", False), ("It is 18, no, 17.", False),
        ("170", False), ("It is 7.", False), ("17 = 3 * 4 + 5", False), ("", False), ("1 7", False),
    ],
)  # fmt: skip
def test_a_reply_comes_to_one_number(reply, right):
    assert comes_to(reply, "What is 3 * 4 + 5?", "17") is right


@pytest.mark.slow
def test_a_step_of_learning_reads_dialogues_and_learns_from_own_tokens_alone(mini):
    import copy

    from kimi_mini.optim import OptimConfig, build_optimizer
    from kimi_mini.rl import RLConfig, rl_step
    from kimi_mini.rl.step import Rows

    task, config = ToolTask(Calculator), RLConfig(problems=4, group=4, updates=1, steps=1)
    policy, problems = copy.deepcopy(mini[0]), [task.problem(seed) for seed in range(4)]
    optimizer = build_optimizer(policy, OptimConfig(lr=1e-6))
    report = rl_step(policy, optimizer, mini[1], task, problems, config, 0)
    assert {rollout.mask.count(False) > 0 for group in report.rollouts_PG for rollout in group} >= {True}
    batch = Rows.of(mini[1], problems, report.rollouts_PG, report.advantages_PG).packed(range(16))
    learned = (batch.targets_BT >= 0).sum().item()
    assert learned == sum(sum(rollout.mask) for group in report.rollouts_PG for rollout in group)
    assert 0 < report.divergence < 1e-2  # a step so small: the log-probabilities of every turn were the policy's own
