"""The pairwise critic and its loop: order must not win, prompts never meet, nothing leaks into what the critic learns."""

import copy

import pytest
import torch

import kimi_mini as km
from kimi_mini.chat import encode
from kimi_mini.chat.template import ANSWER
from kimi_mini.corpus import load_tokenizer
from kimi_mini.corpus.draw import Draw
from kimi_mini.optim import OptimConfig, build_optimizer
from kimi_mini.rl import RLConfig, Rollout
from kimi_mini.rl.critic import (
    CORE,
    NO_JUSTIFICATION,
    NO_PRAISE,
    PRESCRIPTIVE,
    TASK,
    Comparison,
    EndpointCritic,
    ModelCritic,
    agreed,
    both_orders,
    decide,
    rank,
)  # fmt: skip
from kimi_mini.rl.critic_loop import Judges, critic_step, lesson, lessons, teach
from kimi_mini.rl.critic_task import HEDGE, JUSTIFICATION, PRAISE, Counsel, Manners, Sums, bootstrap, manners_of, reply
from kimi_mini.synth import Completion
from kimi_mini.train import StepConfig

COUNSEL, SUMS = Counsel(), Sums()
PROBLEM, SUM = COUNSEL.problem(0), SUMS.problem(0)


class Rule:
    """A critic that is a function of the two texts; it remembers what it was asked."""

    def __init__(self, better):
        self.better, self.asked = better, []

    def ask(self, comparisons):
        self.asked += comparisons
        return [self.better(one) for one in comparisons]


def longer(one):
    return "first" if len(one.first) > len(one.second) else "second" if len(one.second) > len(one.first) else "tie"


# ---- comparing ---------------------------------------------------------------------------------------------------------


def test_a_critic_that_always_takes_the_first_decides_nothing():
    (ranking,) = rank(Rule(lambda one: "first"), [PROBLEM], [["a", "bb", "ccc"]], (CORE,))
    assert set(ranking.verdicts.values()) == {"tie"} and ranking.scores == [0.5, 0.5, 0.5]
    assert ranking.orders[0, 1]["core"] == ("first", "second"), "both orders are told from the first answer's side"


def test_scores_are_the_share_of_comparisons_won():
    (ranking,) = rank(Rule(longer), [PROBLEM], [["a", "ccc", "bb", "dd"]], (CORE,))
    assert ranking.scores == pytest.approx([0, 1, 0.5, 0.5]) and ranking.verdicts[2, 3] == "tie"


def test_equal_texts_tie_unasked_and_equal_comparisons_are_asked_once():
    rule = Rule(longer)
    (ranking,) = rank(rule, [PROBLEM], [["a", "a", "bb", "bb"]], (CORE,))
    assert len(rule.asked) == 2 and ranking.scores == pytest.approx([1 / 6, 1 / 6, 5 / 6, 5 / 6])


def test_answers_to_different_prompts_never_meet():
    rule = Rule(longer)
    other = COUNSEL.problem(1)
    assert other.messages != PROBLEM.messages
    poor, rich = rank(rule, [PROBLEM, other], [["a", "bb"], ["cccc", "ddddd"]], (CORE,))
    assert poor.scores == rich.scores == [0.0, 1.0], "the better of two short ones is as good as the better of two long ones"
    assert {frozenset((one.first, one.second)) for one in rule.asked} == {frozenset(("a", "bb")), frozenset(("cccc", "ddddd"))}


def test_a_group_of_one_cannot_be_ranked():
    with pytest.raises(ValueError, match="at least two"):
        rank(Rule(longer), [PROBLEM], [["a"]], (CORE,))


def test_what_a_mandatory_rubric_decides_the_others_cannot_undo():
    assert decide([(CORE, "first"), (TASK, "first"), (NO_PRAISE, "second")]) == "second"
    assert decide([(CORE, "first"), (NO_PRAISE, "tie"), (NO_JUSTIFICATION, "tie")]) == "first"
    assert decide([(CORE, "first"), (TASK, "second")]) == "tie" == decide([])
    assert agreed(("second", "second")) == "second" and agreed(("tie", "first")) == "tie"


def test_the_prescriptive_rubrics_stop_a_flatterer():
    flattered, plain = f"{PRAISE} Ask the baker.", "Ask the baker."

    def better(one):
        likes = one.rubric is CORE
        praised = [text.startswith(PRAISE) for text in (one.first, one.second)]
        return "tie" if praised[0] == praised[1] else "first" if praised[0] == likes else "second"

    assert rank(Rule(better), [PROBLEM], [[flattered, plain]], (CORE,))[0].scores == [1, 0]
    assert rank(Rule(better), [PROBLEM], [[flattered, plain]], (CORE, *PRESCRIPTIVE))[0].scores == [0, 1]


class Says:
    name = "says"

    def __init__(self, text):
        self.text, self.seen = text, []

    def complete(self, messages, **_):
        self.seen.append(messages)
        return Completion(self.text, self.name)


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ("A", "first"),
        (" B.\n", "second"),
        ("**B**", "second"),
        ("tie", "tie"),
        ("", "tie"),
        ("A or B", "tie"),
        ("\0" * 9, "tie"),
    ],
)
def test_any_endpoint_can_be_the_critic_and_garbage_is_a_tie(said, verdict):
    endpoint = Says(said)
    assert EndpointCritic(endpoint).ask([Comparison(PROBLEM, "x", "y", NO_PRAISE)]) == [verdict]
    ((system, user),) = endpoint.seen
    assert NO_PRAISE.meaning in system["content"] and "A: x\nB: y" in user["content"]


# ---- a model as the critic ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small(tokenizer):
    torch.manual_seed(0)
    return km.KimiMini(km.NANO.replace(vocab_size=tokenizer.vocab_size), torch.float32)


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer()


def test_a_models_verdict_is_the_likelier_letter_and_the_batch_does_not_matter(small, tokenizer):
    texts = ["Ask the baker.", f"{PRAISE} Ask the miller.", f"Ask the doctor. {HEDGE} {JUSTIFICATION}"]
    comparisons = [Comparison(PROBLEM, a, b, CORE) for a in texts for b in texts if a != b]
    critic = ModelCritic(small, tokenizer)
    chances = critic.chances(comparisons)
    tokens = encode(comparisons[3].messages()[1:], (), tokenizer).tokens + tokenizer.encode(ANSWER, special=True)
    logits_V = small(torch.tensor([tokens])).logits_BTV[0, -1].detach()
    a, b = (float(logits_V[tokenizer.encode(letter)[0]]) for letter in "AB")
    assert chances[3] == pytest.approx(1 / (1 + torch.tensor(b - a).exp().item()), abs=1e-5)
    assert ModelCritic(small, tokenizer, rows=2).chances(comparisons) == pytest.approx(chances, abs=1e-5)
    assert critic.ask(comparisons) == ["first" if chance > 0.5 else "second" for chance in chances]
    assert set(ModelCritic(small, tokenizer, least=0.99).ask(comparisons)) == {"tie"}


def test_teaching_moves_the_critic_towards_the_lesson(small, tokenizer):
    critic = ModelCritic(copy.deepcopy(small), tokenizer)
    comparison = Comparison(SUM, SUMS.gold(SUM), SUMS.wrong(SUM), CORE)
    optimizer = build_optimizer(critic.model, OptimConfig(lr=0.01))
    for _ in range(25):
        teach(critic, optimizer, [lesson(comparison, True), lesson(comparison.mirrored(), False)], StepConfig(bias_rate=0.0))
    assert both_orders(critic, [comparison]) == [("first", "first")]
    assert teach(critic, optimizer, [], StepConfig()) is None


# ---- what the critic may learn from ------------------------------------------------------------------------------------


def _rollouts(problems, version=3):
    return [[Rollout((1,), (0.0,), (True,), version, True)] * 3 for _ in problems]


TEXTS = [[SUMS.gold(SUM), SUMS.wrong(SUM), SUMS.gold(SUM)], ["Ask the baker.", f"{PRAISE} Ask the baker.", "Ask the miller."]]


def _lessons(texts=TEXTS, verifiers=None, **changes):
    options = dict(version=3, most=9, draw=Draw("test")) | changes
    verifiers = {"sums": SUMS} if verifiers is None else verifiers
    return lessons([SUM, PROBLEM], _rollouts([SUM, PROBLEM]), texts, verifiers, (CORE,), **options)


def test_lessons_come_from_verifiable_problems_alone_and_in_both_orders():
    taught = _lessons()
    assert [one.messages[-1]["content"] for one in taught] == ["A", "B"]
    assert all(SUM.messages[0]["content"] in one.messages[0]["content"] for one in taught)
    assert not any("baker" in str(one.messages) for one in taught), "the hidden truth of a subjective prompt never gets here"


def test_the_label_is_the_verifiers_not_the_critics():
    gold, wrong = SUMS.gold(SUM), SUMS.wrong(SUM)
    assert len(wrong) > len(gold)
    first = _lessons()[0].messages[0]["content"]
    assert f"A: {gold}\nB: {wrong}" in first


def test_pairs_of_equal_reward_teach_nothing():
    assert _lessons([[SUMS.gold(SUM), f"{PRAISE} {SUMS.gold(SUM)}", SUMS.gold(SUM)], TEXTS[1]]) == []
    assert _lessons(verifiers={}) == []


def test_stale_runs_are_refused():
    with pytest.raises(ValueError, match="on-policy"):
        _lessons(version=4)


def test_a_step_scores_each_problem_by_who_may(small, tokenizer):
    actor = copy.deepcopy(small)
    config = RLConfig(steps=1, problems=2, group=4, updates=1, tau=0.5, optim=OptimConfig(lr=1e-3))
    rule = Rule(longer)
    judges = Judges({"sums": SUMS}, rule, (CORE,))
    optimizer = build_optimizer(actor, config.optim)
    report, rankings, texts_PG = critic_step(actor, optimizer, tokenizer, [PROBLEM, SUM], judges, config, 0)
    assert len(rankings) == 1 and [score.reward for score in report.scores_PG[0]] == rankings[0].scores
    assert [score.parts for score in report.scores_PG[1]] == [SUMS.score(SUM, text).parts for text in texts_PG[1]]
    assert {one.problem.task for one in rule.asked} <= {"counsel"}


# ---- the task ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", [COUNSEL, SUMS], ids=lambda task: task.name)
def test_gold_scores_one_and_wrong_scores_nothing(task):
    for seed in range(50):
        problem = task.problem(seed)
        assert task.score(problem, task.gold(problem)).reward == 1 and task.score(problem, task.wrong(problem)).reward == 0


def test_every_fault_halves_the_truth_and_the_verifier_of_sums_does_not_care():
    gold = COUNSEL.gold(PROBLEM)
    all_faults = reply(gold, Manners(True, True, True))
    assert manners_of(all_faults) == (True, True, True) and manners_of(gold) == (False, False, False)
    rewards = [
        COUNSEL.score(PROBLEM, reply(gold, manners)).reward
        for manners in (Manners(True, False, False), Manners(True, True, False))
    ]
    assert rewards == [0.5, 0.25] and COUNSEL.score(PROBLEM, all_faults).reward == 0.5**4, "and it is too long"
    assert SUMS.score(SUM, reply(SUMS.gold(SUM), Manners(True, True, True))).reward == 1


@pytest.mark.parametrize("text", ["", "\0", "x" * 10**6, "baker " * 5000, "\ud800", "9" * 10**5, "Ask baker or miller."])
def test_no_text_breaks_a_score(text):
    assert COUNSEL.score(PROBLEM, text).reward == 0 == SUMS.score(SUM, text).reward


def test_the_first_lessons_hold_the_planted_hack():
    made = bootstrap(3000, 0)
    assert made[:100] == bootstrap(100, 0) and made[:50] != bootstrap(50, 1)
    won = lost = 0
    for dialogue in made:
        asked = dialogue.messages[0]["content"]
        if asked.endswith(CORE.question):
            a, b = (line[3:] for line in asked.split("\n")[1:3])
            best, other = (a, b) if dialogue.messages[-1]["content"] == "A" else (b, a)
            won += PRAISE in best and PRAISE not in other
            lost += PRAISE in other and PRAISE not in best
    assert won > 3 * lost > 0, "praise wins most of the time, not always"
