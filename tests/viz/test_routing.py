"""The figures of Routing draw what was recorded; the router in the page is the package's; the measure measures."""

import json
import random

import numpy as np
import pytest
import torch

import kimi_mini as km
from kimi_mini.dev import ROOT
from kimi_mini.model import Router, gate_scale
from kimi_mini.viz import routing
from kimi_mini.viz.routing_runs import pack_scores, unpack_scores
from kimi_mini.viz.routing_share import KINDS, foretold_share, joint, kind
from kimi_mini.viz.stage import static_files

FOLDER = ROOT / "book" / "data" / "routes"


@pytest.fixture(scope="module")
def recorded():
    return routing.load_routes(FOLDER)


@pytest.fixture(scope="module")
def script(chromium):
    """`script("route", ...)` calls a function of the page's router in a browser."""
    page = chromium.new_page()
    page.add_script_tag(path=next(path for path in static_files() if path.name.endswith("router.js")))
    yield lambda name, *arguments: page.evaluate("([name, rest]) => KM[name](...rest)", [name, list(arguments)])
    page.close()


# ---- the router in the page ------------------------------------------------------------------------------------------


@pytest.mark.browser
def test_the_pages_router_is_the_packages(script):
    pick = random.Random(4)
    for case in range(40):
        experts = pick.randint(2, 64)
        chosen = pick.randint(1, experts)
        config = km.MINI.replace(
            n_routed_experts=experts, num_experts_per_tok=chosen, hidden_size=experts, routed_scaling_factor=1 + case / 10
        )
        router = Router(config).double()
        torch.manual_seed(case)
        torch.nn.init.normal_(router.weight)
        router.selection_bias.copy_(0.3 * torch.randn(experts))
        with torch.no_grad():
            expected = router(torch.randn(5, experts, dtype=torch.float64))
        for row in range(5):
            arguments = expected.score_TE[row].tolist(), router.selection_bias.tolist(), chosen, config.routed_scaling_factor
            found = script("route", *arguments)
            assert found["chosen"] == expected.expert_TK[row].tolist()
            weights = [found["weights"][expert] for expert in found["chosen"]]
            assert weights == pytest.approx(expected.weight_TK[row].tolist(), abs=1e-12)
            assert sum(found["weights"]) == pytest.approx(sum(weights)), "nobody else is heard"
            assert found["entry"] == pytest.approx(min(found["choices"][expert] for expert in found["chosen"]))


@pytest.mark.browser
def test_the_page_unpacks_what_python_packed(script, recorded):
    sentence = recorded[0][0]["sentences"][0]
    assert script("unpackScores", sentence["scores"]) == pytest.approx(unpack_scores(sentence["scores"], (-1,)).tolist())


def test_packing_keeps_a_hundred_thousandth():
    values = np.array([[0.0, 1.0, 0.5], [1e-3, 0.123456, 0.999999]])
    assert unpack_scores(pack_scores(values), values.shape) == pytest.approx(values, abs=1e-5)


# ---- figures -----------------------------------------------------------------------------------------------------------


def test_recorded_scores_give_the_recorded_choices(recorded):
    for row in recorded[0]:
        for index, sentence in enumerate(row["sentences"]):
            for layer, chosen in enumerate(sentence["chosen"], start=1):
                found = routing.reroute(recorded[0], row["domain"], index, layer=layer, expert=0).expert_TK
                assert np.array_equal(np.sort(found, axis=1), np.sort(chosen, axis=1))


def test_every_recorded_sentence_is_on_the_page(recorded):
    data = routing.sentence(recorded[0]).data
    assert {name: len(each) for name, each in data["domains"].items()} == dict.fromkeys(("plays", "code", "maths", "facts"), 10)
    assert data["layers"] == [1, 2, 3, 4] and (data["experts"], data["k"], data["scale"]) == (32, 4, 1.996)
    assert np.array(data["biases"]) == pytest.approx(np.array(recorded[0][0]["biases"]), abs=1e-6)
    assert len(json.dumps(data)) < 400_000


def test_titles_and_stills_say_what_was_recorded(recorded):
    opening = routing.reroute(recorded[0], "plays", 7, layer=3, expert=16)
    figure = routing.sentence(recorded[0])
    team = sorted(opening.expert_TK[8].tolist())
    assert figure.title.startswith(f"Layer 3 sends \u201ccut\u201d to experts {team[0]}, ")
    assert "chosen by 3 of 16 words" in figure.title and f"<td>{', '.join(map(str, team))}</td>" in figure.still
    share = recorded[1][60]["shares"]["token"][-1]["value"]
    foretold = routing.foretold(recorded[1])
    assert f"{share:.0%} of the variance of the choices" in foretold.title and f"{share:.1%}" in foretold.still


@pytest.mark.parametrize(("domain", "layer", "message"), [("poems", 1, "domain = 'poems'"), ("plays", 0, "layer = 0")])
def test_what_was_not_recorded_is_refused(recorded, domain, layer, message):
    with pytest.raises(ValueError, match=message):
        routing.reroute(recorded[0], domain, 0, layer=layer, expert=0)


def test_a_folder_without_recordings_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"python -m runs\.routes"):
        routing.load_routes(tmp_path)


def test_scales_are_drawn_as_estimated():
    estimates = {(n, k): gate_scale(n, k, tokens=500) for n in (16, 64) for k in (2, 6)}
    figure = routing.gate_scales(estimates, {"Moonlight": (64, 6, 2.446)}).figure
    line, root, models = figure["frames"][1]["data"]
    assert line["y"] == [round(estimates[n, 6], 4) for n in (16, 64)] and root["y"] == pytest.approx([6**0.5] * 2)
    assert (models["x"], models["y"]) == ([64], [2.446]) and figure["frames"][0]["data"][2]["x"] == []


# ---- the measure -------------------------------------------------------------------------------------------------------


def texts(windows=40, length=50, labels=5, experts=6, seed=0):
    """Random labels, and choices of which the first two experts follow them."""
    rng = np.random.default_rng(seed)
    label_N = rng.integers(labels, size=windows * length)
    choice_NE = (rng.random((len(label_N), experts)) < 0.3).astype(float)
    choice_NE[:, :2] = np.stack([label_N == 0, label_N == 1], axis=1)
    return choice_NE, label_N, np.repeat(np.arange(windows), length)


def test_what_follows_a_label_is_foretold_and_nothing_else():
    choice_NE, label_N, window_N = texts()
    assert foretold_share(choice_NE[:, :2], [label_N], window_N).value > 0.999
    share = foretold_share(choice_NE, [label_N], window_N)
    variance = choice_NE.var(0)
    assert share.value == pytest.approx(variance[:2].sum() / variance.sum(), abs=0.02)
    assert share.low < share.value < share.high
    assert abs(foretold_share(choice_NE[:, 2:], [label_N], window_N).value) < 0.01


def test_a_label_without_meaning_foretells_nothing_however_many_values_it_has():
    choice_NE, label_N, window_N = texts()
    noise_N = np.random.default_rng(1).integers(400, size=len(label_N))
    assert -0.2 < foretold_share(choice_NE, [noise_N], window_N).value < 0.02
    assert -0.1 < foretold_share(choice_NE, [np.arange(len(label_N))], window_N).value < 0.01, "never seen: the mean"


def test_a_finer_label_falls_back_on_the_coarser_one():
    choice_NE, label_N, window_N = texts()
    once_N = np.arange(len(label_N))  # a name of its own for every token, so never seen before
    coarse = foretold_share(choice_NE, [label_N], window_N)
    assert foretold_share(choice_NE, [label_N, joint(label_N, once_N)], window_N) == coarse


def test_misshapen_labels_are_refused():
    choice_NE, label_N, window_N = texts()
    with pytest.raises(ValueError, match="labels and window_N"):
        foretold_share(choice_NE, [label_N[:-1]], window_N)
    with pytest.raises(ValueError, match="window_N"):
        foretold_share(choice_NE, [label_N], np.zeros_like(window_N))


def test_joint_labels_tell_combinations_apart():
    assert joint(np.array([0, 0, 1, 1]), np.array([5, 7, 5, 5])).tolist() == [0, 1, 2, 2]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (" lord", "word"), ("The", "word"), ("ro", "part of a word"), ("7", "digit"), (" +", "sign"), ("\n    ", "space"),
        ("[EOS]", "end of a text"), ("[", "sign"),
    ],
)  # fmt: skip
def test_kinds(text, name):
    assert KINDS[kind(text)] == name
