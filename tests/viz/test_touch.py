"""The figures of Touch it first: recordings are the package's numbers, costs are those of the measurement."""

import json
import math
import re
import statistics
from xml.etree import ElementTree

import pytest
import torch

import kimi_mini as km
from kimi_mini.dev import ROOT
from kimi_mini.viz import touch
from runs.ablation import routes

FILE = ROOT / "book" / "data" / "ablation.json"


@pytest.fixture(scope="module")
def mini():
    return km.load_mini()


@pytest.fixture(scope="module")
def measured():
    return touch.load_ablation(FILE)


@pytest.fixture(scope="module")
def figure(mini, measured):
    return touch.touch(*mini, measured)


def test_a_recording_is_what_the_package_does_with_the_text(mini, figure):
    model, tokenizer = mini
    for key, recorded in figure.data["recordings"].items():
        ids, traces = recorded["ids"], recorded["traces"]
        prompt = [tokenizer.bos, *tokenizer.encode(touch.PROMPTS[key][1], special=True)]
        assert ids[: recorded["asked"]] == prompt and len(traces) == len(ids) > len(prompt)
        with torch.inference_mode():
            logits_BTV, stats = model(torch.tensor([ids]))
        maxima_TLH = torch.tensor([trace["maxima"] for trace in traces])
        assert torch.allclose(maxima_TLH.amax(0), stats.max_logits_LH, atol=0.01)
        chosen = routes(model, torch.tensor(ids)).sort(-1).values.transpose(0, 1)
        assert [trace["chosen"][1:] for trace in traces] == chosen.tolist() and traces[0]["chosen"][0] == []
        shares, likely = logits_BTV[0].softmax(-1).topk(5)
        assert [[token for token, _, _ in trace["top"]] for trace in traces] == likely.tolist()
        assert torch.allclose(torch.tensor([[p for _, _, p in t["top"]] for t in traces]), shares, atol=1e-4)
        assert [trace["piece"] for trace in traces] == [tokenizer.decode([token]) for token in ids]


def test_titles_and_stills_carry_the_numbers(mini, figure, measured):
    best, share = figure.data["recordings"]["plays"]["traces"][11]["top"][0][1:]
    assert f"“{best.strip()}”, {share:.0%} sure" in figure.title
    losses = touch.losses(measured)
    head = max(measured.cost(part)[0] for part in measured.parts("head"))
    assert f"gains {measured.cost('shared')[0]:.2f} nats" in losses.title and f"up to {head:.2f}" in losses.title
    for still in (figure.still, losses.still):
        assert list(ElementTree.fromstring(f"<div>{still}</div>"))
    assert len(json.dumps(figure.data)) < 150_000


def test_every_part_is_drawn_at_its_cost(measured):
    data = touch.losses(measured).data
    told = json.loads(FILE.read_text())
    assert {row["key"]: len(row["parts"]) for row in data["rows"]} == {
        "expert": 128,
        "head": 30,
        "shared": 4,
        "all-shared": 1,
        "routed": 4,
    }
    for row in data["rows"]:
        for place, part in enumerate(row["parts"]):
            gained = [a - b for a, b in zip(told["loss"][part], told["loss"]["none"], strict=True)]
            mean, error = row["cost"]["all"][place]
            assert mean == pytest.approx(sum(gained) / 30, abs=1e-5)
            assert error == pytest.approx(statistics.stdev(gained) / math.sqrt(30), abs=1e-5)
            assert row["cost"]["maths"][place][0] == pytest.approx(sum(gained[12:18]) / 6, abs=1e-5)


def test_the_sample_is_named(measured):
    data = touch.losses(measured).data
    assert (data["windows"], data["length"]) == (6, 512) and data["windows"] * len(measured.domains) == 30


def test_the_touched_lines_are_the_measured_ones(measured):
    figure = touch.touched(measured, experts=32, active=4).figure
    assert len(figure["frames"]) == len(measured.domains)
    for domain, frame, title in zip(measured.domains, figure["frames"], figure["layout"]["meta"]["titles"], strict=True):
        random, real = frame["data"]
        assert real["y"] == [100 * share for share in measured.touched[domain]]
        assert random["y"][5] == pytest.approx(100 * (1 - (7 / 8) ** 32))
        shares = re.findall(r"(\d+)\u00a0%", title)
        assert shares == [f"{real['y'][5]:.0f}", f"{random['y'][5]:.0f}"]


def test_a_measurement_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ValueError, match="cannot be read"):
        touch.load_ablation(tmp_path / "none.json")
