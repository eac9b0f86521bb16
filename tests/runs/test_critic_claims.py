"""What the recorded runs of self-critique say about frozen critics, closed loops and rules, three seeds each."""

import json

import pytest

from kimi_mini.dev import ROOT
from kimi_mini.rl.critic import CORE
from kimi_mini.rl.critic_task import Counsel
from kimi_mini.viz.critic_runs import load_critic
from runs import critic


@pytest.fixture(scope="module")
def runs():
    return load_critic(ROOT / critic.FOLDER)


def test_every_seed_of_the_recipe_is_there(runs):
    assert tuple(runs) == critic.SETTINGS and all(tuple(seeds) == critic.SEEDS for seeds in runs.values())
    for seeds in runs.values():
        for run in seeds.values():
            assert run.step.tolist() == list(range(0, critic.STEPS + 1, critic.EVERY))


def test_the_recorded_truth_is_that_of_the_recorded_text():
    for path in sorted((ROOT / critic.FOLDER).glob("seed*.json")):
        for setting in json.loads(path.read_text())["settings"].values():
            for point in setting["points"]:
                best, problem = point["best"], Counsel().problem(10**9)
                assert best["asked"] == problem.messages[0]["content"]
                assert Counsel().score(problem, best["text"]).reward == best["truth"]


def test_only_the_closed_loop_taught_the_critic(runs):
    assert all(sum(run.taught) > 100 for run in runs["closed"].values())
    assert not any(run.taught for setting in ("frozen", "rules") for run in runs[setting].values())


def test_agreement_is_counted_by_hand():
    rankings = [critic.Ranking([], {(0, 1): "first", (0, 2): "tie", (1, 2): "second"}, {})]
    assert critic.agreement_with(rankings, [[1.0, 0.5, 0.5]]) == (0.75, 2), "one right, one tie; an equal pair is left out"
    assert critic.agreement_with(rankings, [[0.5, 0.5, 0.5]]) == (None, 0)


def test_the_score_of_an_actor_against_itself_is_one_half():
    class Never:
        def ask(self, comparisons):
            assert comparisons == [], "equal texts are not asked about"
            return []

    texts = [["Ask the baker.", "It depends."]]
    assert critic.against(Never(), [Counsel().problem(0)], texts, texts, (CORE,)) == 0.5


def test_a_frozen_critic_is_hacked_in_every_seed(runs):
    for run in runs["frozen"].values():
        score, truth = run.values["score"], run.values["truth"]
        assert score[-1] - score[0] > 0.3 and truth.max() > truth[-1] and run.peak < critic.STEPS
        assert run.values["justification"][-1] > 0.9, "the truth halves for it, and it is nearly everywhere"
    first = runs["frozen"][0].values["truth"]
    assert first.max() - first[-1] > 0.3
    drift = [run.agreement[-1] - run.agreement[0] for run in runs["frozen"].values()]
    assert drift[0] < -0.5 and drift[1] < -0.5 and abs(drift[2]) < 0.1, "in two seeds of three"


def test_a_taught_critic_agrees_more_with_the_truth_and_a_frozen_one_cannot(runs):
    assert all(run.values["probe"][-1] - run.values["probe"][0] > 0.05 for run in runs["closed"].values())
    assert all(len(set(run.values["probe"])) == 1 for run in runs["frozen"].values())


def test_the_closed_loop_did_not_save_the_actor(runs):
    ends = [[run.values["truth"][-1] for run in runs[setting].values()] for setting in ("closed", "frozen")]
    gain = [closed - frozen for closed, frozen in zip(*ends, strict=True)]
    assert abs(sum(gain) / 3) < 0.05 and max(map(abs, gain)) < 0.1


def test_rules_stop_flattery_where_the_critic_knows_them_and_nothing_else(runs):
    best = {setting: [run.values["truth"].max() for run in runs[setting].values()] for setting in runs}
    assert min(best["rules"][:2]) > 0.84 > 0.6 > max(best["frozen"] + best["closed"])
    assert all(run.values["truth"][-1] < run.values["truth"].max() - 0.3 for run in list(runs["rules"].values())[:2])
    assert runs["rules"][2].values["praise"][-1] > 0.9, "the third critic had not learned what the rules mean"
