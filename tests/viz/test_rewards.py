"""Eight cards and the run scrubber, on made-up answers: the pushes are the closed form's, and a hand on a card moves them."""

import json

import numpy as np
import pytest

from kimi_mini.viz import rewards
from kimi_mini.viz.rewards_runs import Answer, Group, Run, Sample

MARKS = {0: (0,) * 7 + (1,), 20: (1,) * 4 + (0,) * 4, 40: (1,) * 8}  # by step
RATIO = (0.5, -1.0, 0.0, 2.0, -0.5, 0.25, 1.0, -0.25)  # log of new over old


def groups():
    return [
        Group(step, "Make 24.", tuple(Answer(f"answer <{i}>", r, -9.0, -9.0 + RATIO[i]) for i, r in enumerate(marks)))
        for step, marks in MARKS.items()
    ]


def run(key="plain", steps=40):
    line = np.linspace(0, 1, steps)
    held, samples = [(0, 90), (steps, 190)], [Sample(1, "Make 24.", "3 * 8", 1.0), Sample(20, "Make 10.", "5 + 5", 0.0)]
    return Run(
        key, key.title(), 0, 0.3 + 0.5 * line, 10 + line, np.array([0.0, 2.0]), held, [(0, 90), (steps, 120)], 256, samples
    )


def cards(tau=0.0):
    return rewards.eight_cards(groups(), tau=tau, temperature=1.0)


def test_pushes_are_the_closed_form():
    assert rewards.pushes([1, 0, 0, 1], [0, 0, 0, 0], 0.5) == pytest.approx([0.5, -0.5, -0.5, 0.5])
    assert rewards.pushes([1, 1, 1], [1.0, -2.0, 0.0], 0.1) == pytest.approx([-0.1, 0.2, 0.0])
    assert rewards.pushes([0, *[1] * 7], [0] * 8, 1.0) == pytest.approx([-7 / 8, *[1 / 8] * 7])
    with pytest.raises(ValueError, match="log_ratio_G = 1"):
        rewards.pushes([1, 0], [0], 0.1)


def test_the_cards_open_on_the_most_mixed_group_and_keep_every_answer():
    shown = cards()
    assert shown.data["opening"] == 1 and shown.title.startswith("4 of 8 right")
    assert [len(group["answers"]) for group in shown.data["groups"]] == [8, 8, 8]
    with pytest.raises(ValueError, match="answers a group"):
        rewards.eight_cards([groups()[0], groups()[0]._replace(answers=groups()[0].answers[:4])], tau=0.1, temperature=1)


def test_the_scrubber_carries_intervals_around_every_share():
    (only,) = rewards.run_scrubber([run()]).data["runs"]
    (_, share, low, high), _ = only["held"]
    assert share == 90 / 256 and 0.29 < low < share < high < 0.42


def recorded(kind, seed, **more):
    """A row as `runs.climb` writes it."""
    answers = [{"text": "1,2", "reward": float(i == 0), "old": -3.0, "new": -2.5} for i in range(8)]
    groups = [{"step": step, "prompt": f"{name} of {step}", "answers": answers} for step in (1, 3) for name in "ab"]
    samples = [{"step": step, "prompt": "p", "text": "t", "reward": 1.0} for step in (1, 2, 3)]
    log = {"reward": [0.1, 0.2, 0.3], "length": [7.0, 8.0, 9.0]}
    row = {"kind": kind, "seed": seed, "problems": 256, "held": [[0, 64], [3, 128]], "drift": [[0, 0.0], [3, 1.5]]}
    return row | {"log": log, "groups": groups, "samples": samples, "config": {"tau": 0.1}} | more


def test_a_climb_stands_beside_the_control_of_its_seed(tmp_path):
    for row in (recorded("climb", 0), recorded("climb", 1), recorded("control", 0, held=[[0, 64], [77, 90]])):
        (tmp_path / f"{row['kind']}-seed{row['seed']}.json").write_text(json.dumps(row))
    with pytest.raises(ValueError, match="a climb and a control for each seed"):
        rewards.load_recording(tmp_path)
    (tmp_path / "control-seed1.json").write_text(json.dumps(recorded("control", 1)))
    recording = rewards.load_recording(tmp_path)
    first = recording.climbs[0]
    assert first.steps == 3 and first.gain == 0.25 and first.control == [(0, 64), (3, 90)], (
        "the control ends when the climb does"
    )
    assert [(group.step, group.prompt) for group in recording.groups] == [(1, "a of 1"), (3, "a of 3")]
    assert recording.groups[0].answers[0] == Answer("1,2", 1.0, -3.0, -2.5)


def test_pulls_of_all_seeds_have_the_same_taus(tmp_path):
    def write(seed, taus):
        pulls = [{"tau": tau, "divergence": seed + 1 / tau, "right": 0.5, "wrong": -1.0} for tau in taus]
        (tmp_path / f"seed{seed}.json").write_text(json.dumps({"seed": seed, "pulls": pulls}))

    write(0, (0.1, 1.0)), write(1, (0.1, 1.0))
    pulls = rewards.load_pulls(tmp_path)
    assert pulls.divergence_ST.tolist() == [[10.0, 1.0], [11.0, 2.0]] and pulls.wrong_ST.shape == (2, 2)
    assert rewards.pull_figure(pulls).figure["data"][0]["y"] == [10.5, 1.5]
    write(1, (0.1, 2.0))
    with pytest.raises(ValueError, match="the same in every row"):
        rewards.load_pulls(tmp_path)


# ---- under a hand ------------------------------------------------------------------------------------------------------


@pytest.fixture
def opened(chromium, tmp_path):
    """`opened(stage)` is its root element in a browser, the guess skipped; nothing may be complained about."""
    context, complaints = chromium.new_context(offline=True, reduced_motion="reduce"), []

    def open_stage(stage, width=760, skip=True):
        (tmp_path / "page.html").write_text(stage.page, encoding="utf-8")
        page = context.new_page()
        page.set_viewport_size({"width": width, "height": 900})
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto((tmp_path / "page.html").as_uri())
        if skip:
            page.locator("[data-control=skip]").click()
        return page.locator(f"#km-{stage.name}.km-alive")

    yield open_stage
    context.close()
    assert complaints == []


def pushed(root):
    return [float(root.get_attribute(f"data-value-push{number}")) for number in range(1, 9)]


@pytest.mark.browser
def test_arrows_wait_for_the_guess(opened):
    covered = opened(cards(), skip=False)
    assert covered.locator("path.km-push").count() == 0 and covered.locator("[data-control=tau]").count() == 0
    assert covered.locator(".km-card-push:visible").count() == 0


@pytest.mark.browser
def test_one_failure_is_pushed_as_hard_as_the_other_seven_together_and_equal_marks_push_nothing(opened):
    root = opened(cards())
    root.locator("[data-control=marks][value=one]").check(force=True)
    found = pushed(root)
    assert found == pytest.approx([-7 / 8, *[1 / 8] * 7]) and "as hard as the other 7 together" in root.inner_text()
    root.locator("[data-control=marks][value=all]").check(force=True)
    assert pushed(root) == pytest.approx([0] * 8) and root.locator("path.km-push").count() == 0
    assert "every arrow vanishes" in root.locator(".km-title").inner_text()


@pytest.mark.browser
def test_a_dragged_reward_moves_all_eight_arrows(opened):
    root = opened(cards())
    assert pushed(root) == pytest.approx(rewards.pushes(MARKS[20], [0] * 8, 0))
    root.locator("[data-control=r8]").press("ArrowRight")
    assert pushed(root) == pytest.approx(rewards.pushes([1, 1, 1, 1, 0, 0, 0, 0.1], [0] * 8, 0))
    assert "reward 0.10, the verifier says 0" in root.inner_text()
    root.locator("[data-control=checkpoint]").press("Home")
    assert pushed(root) == pytest.approx(rewards.pushes(MARKS[0], [0] * 8, 0)), "another checkpoint has its own marks"


@pytest.mark.browser
def test_tau_pulls_back_what_has_become_more_likely(opened):
    root = opened(cards())
    root.locator("[data-control=checkpoint]").press("End")
    root.locator("[data-control=tau]").press("End")
    assert pushed(root) == pytest.approx([-ratio for ratio in RATIO])
    assert "pull back to the old policy" in root.locator(".km-title").inner_text()


@pytest.mark.browser
def test_the_scrubber_reads_the_step_and_covers_what_was_not_guessed(opened):
    covered = opened(rewards.run_scrubber([run(), run("short", 20)]), skip=False)
    assert "74" not in covered.inner_text() and covered.locator("[data-control=step]").count() == 0
    covered.page.locator("[data-control=skip]").click()
    covered.locator("[data-control=step]").press("ArrowRight")
    assert float(covered.get_attribute("data-value-reward")) == pytest.approx(0.3, abs=1e-3)
    assert "3 * 8" in covered.inner_text()
    assert float(covered.get_attribute("data-value-drift")) == 0
    covered.locator("[data-control=step]").press("End")
    assert float(covered.get_attribute("data-value-drift")) == 2
    assert float(covered.get_attribute("data-value-reward")) == pytest.approx(0.8, abs=1e-3)
    assert float(covered.get_attribute("data-value-held")) == 190 / 256 and "5 + 5" in covered.inner_text()
    covered.locator("[data-control=run]").select_option("short")  # ends before the slider does
    assert float(covered.get_attribute("data-value-reward")) == pytest.approx(0.8, abs=1e-3)


@pytest.mark.browser
@pytest.mark.parametrize("stage", [cards(), rewards.run_scrubber([run()])], ids=["cards", "run"])
def test_it_fits_a_phone(opened, stage):
    root = opened(stage, width=360)
    assert root.page.evaluate("document.documentElement.scrollWidth") <= 360
    for text in root.locator(".km-picture text").all():
        edges = text.bounding_box()
        assert edges["x"] >= -4 and edges["x"] + edges["width"] <= 364, text.text_content()  # a halo may stick out
