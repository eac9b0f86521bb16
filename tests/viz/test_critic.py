"""The figures of the critic: what a reader gets is what was recorded."""

import json

import numpy as np
import pytest

from kimi_mini.dev import ROOT
from kimi_mini.viz import critic


@pytest.fixture(scope="module")
def runs():
    return critic.load_critic(ROOT / "book" / "data" / "critic")


def test_the_gap_shows_every_setting_and_seed_as_recorded(runs):
    data = critic.gap(runs, answers=96).data
    assert [one["key"] for one in data["settings"]] == list(critic.SETTINGS)
    for one in data["settings"]:
        for shown in one["seeds"]:
            recorded = runs[one["key"]][shown["seed"]]
            assert shown["truth"] == recorded.values["truth"].tolist() and shown["score"] == recorded.values["score"].tolist()
            assert shown["peak"] == data["steps"][int(np.argmax(shown["truth"]))]
            assert [card["text"] for card in shown["best"]] == [best["text"] for best in recorded.best]
            assert len(data["steps"]) == len(shown["truth"]) == len(shown["agreement"])
    assert len(json.dumps(data)) < 100_000 and "NaN" not in json.dumps(data)


def test_the_still_has_the_numbers_without_a_script(runs):
    still = critic.gap(runs, answers=96).still
    assert all(f"{value:.2f}" in still for value in runs["frozen"][0].values["truth"])


def test_quiet_figures_are_means_and_seeds_of_what_was_recorded(runs):
    praise = critic.manners(runs).draw("rules")[1]
    assert praise["y"] == pytest.approx(np.mean([run.values["praise"] for run in runs["rules"].values()], 0), abs=1e-3)
    lines = critic.agreement(runs).draw()
    assert len(lines) == 2 * len(runs["frozen"])
    assert all(len(set(line["y"])) == 1 for line in lines[: len(runs["frozen"])]), "a frozen critic does not change its mind"


def test_rows_that_do_not_make_a_whole_are_refused(runs, tmp_path):
    with pytest.raises(ValueError, match=r"python -m runs.critic"):
        critic.load_critic(tmp_path)
    rows = [json.loads(path.read_text()) for path in sorted((ROOT / "book" / "data" / "critic").glob("seed*.json"))]
    rows[1]["tau"] = 9.0
    for row in rows:
        (tmp_path / f"seed{row['seed']}.json").write_text(json.dumps(row))
    with pytest.raises(ValueError, match="made with"):
        critic.load_critic(tmp_path)
