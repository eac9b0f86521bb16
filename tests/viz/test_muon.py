"""The figures of *Muon*: the page's iteration is the package's in float64, and what is drawn is what was recorded."""

import json
import shutil

import numpy as np
import pytest
import torch

from kimi_mini import kernels
from kimi_mini.dev import ROOT
from kimi_mini.viz import muon
from kimi_mini.viz.muon_runs import GROUPS, group_of
from kimi_mini.viz.series import unpack
from kimi_mini.viz.stage import static_files
from runs.muon import BEST, BETWEEN, K2_DECAY, LEARNING_RATES, LENGTHS

FOLDER = ROOT / "book" / "data" / "muon"
SETTINGS = {how: (lr, K2_DECAY) for how, lr in BEST.items()}


@pytest.fixture(scope="module")
def runs():
    return muon.load_runs(FOLDER)


@pytest.fixture(scope="module")
def script(chromium):
    """`script("matrices", ...)` calls a function of the page's iteration in a browser."""
    page = chromium.new_page()
    page.add_script_tag(path=next(path for path in static_files() if path.name.endswith("schulz.js")))
    yield lambda name, *arguments: page.evaluate("([name, rest]) => KM.schulz[name](...rest)", [name, list(arguments)])
    page.close()


# ---- the iteration in the page ---------------------------------------------------------------------------------------


@pytest.mark.browser
@pytest.mark.parametrize("coefficients", list(kernels.NEWTON_SCHULZ_COEFFICIENTS))
@pytest.mark.parametrize("shape", [(2, 2), (3, 7), (7, 3), (5, 5)])
def test_the_pages_iteration_is_the_packages(script, runs, shape, coefficients):
    sets = muon.ellipse(runs).data["sets"]
    torch.manual_seed(0)
    for _ in range(5):
        x = torch.randn(shape, dtype=torch.float64)
        found = script("matrices", x.tolist(), sets[coefficients], 10)
        for steps in range(11):
            expected = kernels.newton_schulz(x, steps=steps, coefficients=coefficients, impl="ref")
            assert torch.tensor(found[steps], dtype=torch.float64).sub(expected).abs().max() < 1e-11


@pytest.mark.browser
def test_a_singular_value_alone_goes_the_same_way(script, runs):
    sets = muon.ellipse(runs).data["sets"]
    torch.manual_seed(1)
    x = torch.randn(6, 9, dtype=torch.float64)
    sigma = torch.linalg.svdvals(x / x.norm())
    for coefficients, row in sets.items():
        found = torch.tensor([script("values", value, row, 5)[-1] for value in sigma.tolist()], dtype=torch.float64)
        expected = torch.linalg.svdvals(kernels.newton_schulz(x, coefficients=coefficients))
        assert torch.allclose(found.sort(descending=True).values, expected, atol=1e-9)


@pytest.mark.browser
def test_the_axes_of_a_two_by_two_are_its_singular_values(script):
    torch.manual_seed(2)
    for x in torch.randn(20, 2, 2, dtype=torch.float64):
        assert script("axes", x.tolist()) == pytest.approx(torch.linalg.svdvals(x).tolist(), abs=1e-12)


# ---- recordings ------------------------------------------------------------------------------------------------------


def test_the_ellipse_carries_recorded_spectra_and_the_packages_coefficients(runs):
    data = muon.ellipse(runs).data
    assert data["sets"] == {k: [list(t) for t in v] for k, v in kernels.NEWTON_SCHULZ_COEFFICIENTS.items()}
    (mini,) = muon.pick(runs, model="mini")
    assert mini.looks == (1, 10, 30, 100, 200, 300) and len(data["momenta"]) == 9
    for key, momentum in data["momenta"].items():
        name, look = key.rsplit("-", 1)
        told = mini.spectra[name][mini.looks.index(int(look))]
        assert unpack(momentum["sigma"], (-1,)) == pytest.approx(told, rel=1e-3)
        assert np.square(told).sum() == pytest.approx(1, abs=5e-3), "over its Frobenius norm"


def test_the_groups_hold_every_matrix():
    assert group_of("blocks.0.mlp.gate") == "dense MLP" and group_of("blocks.1.mlp.shared.up") == "shared expert"
    assert group_of("blocks.2.attn.kv_up") == "attention keys, values" and group_of("blocks.1.mlp.experts.7.down") == "experts"
    with pytest.raises(ValueError, match="name"):
        group_of("blocks.1.mlp.nothing")


def test_without_the_factor_the_mean_stays_and_shapes_part(runs):
    (mini,) = muon.pick(runs, model="mini")
    plain = mini.rms_without_factor()
    assert plain.mean(1) == pytest.approx(mini.update_rms.mean(1))
    ratio = mini.update_rms / plain
    assert (ratio / np.sqrt(mini.longer)).std(1) == pytest.approx(0, abs=1e-5)


def test_updates_to_a_loss_lie_between_recorded_lengths():
    assert muon.updates_to([100, 400], [4.0, 2.0], 3.0) == pytest.approx(200)
    assert muon.updates_to([100, 200, 400], [4.0, 3.0, 2.0], 3.0) == pytest.approx(200)
    assert muon.updates_to([100, 400], [4.0, 2.0], 1.9) is None


def test_the_race_draws_the_ends_of_every_recorded_seed(runs):
    figure = muon.race(runs, SETTINGS, LENGTHS)
    for how, (lr, decay) in SETTINGS.items():
        told = figure.data["runs"][how]
        for steps, ends in zip(told["lengths"], told["ends"], strict=True):
            assert ends == [run.end for run in muon.pick(runs, matrices=how, lr=lr, decay=decay, steps=steps)]
    assert figure.data["runs"]["muon"]["lengths"] == list(LENGTHS) and figure.data["runs"]["adamw"]["lengths"] == list(LENGTHS)
    assert json.dumps(figure.data)


def test_the_sweep_draws_one_point_a_rate(runs):
    rates = {"muon": LEARNING_RATES, "adamw": sorted((*LEARNING_RATES, *BETWEEN))}
    adamw, trained = muon.sweep(runs, rates).figure["data"]
    for line, how in ((adamw, "adamw"), (trained, "muon")):
        ends = [muon.pick(runs, matrices=how, lr=lr, steps=300, seed=0)[0].end for lr in rates[how]]
        assert line["y"] == pytest.approx(ends, abs=1e-3) and line["x"] == list(rates[how])


def test_quiet_figures_draw_the_rows(runs):
    figure = muon.entropy_by_group(runs, LEARNING_RATES, BEST).figure
    assert len(figure["frames"]) == len(LEARNING_RATES) + 1
    fresh, adamw, trained = figure["frames"][-1]["data"]
    run = muon.pick(runs, matrices="muon", lr=BEST["muon"], steps=300, seed=0)[0]
    assert trained["y"] == adamw["y"] == fresh["y"] == list(GROUPS)
    assert trained["x"][-1] == pytest.approx(run.entropy[run.groups == "router"].mean(), rel=1e-3)
    assert fresh["x"][-1] == pytest.approx(run.entropy_start[run.groups == "router"].mean(), rel=1e-3)
    sizes = muon.update_rms(runs, SETTINGS).figure["frames"]
    assert [len(frame["data"][0]["y"]) for frame in sizes] == [428, 428, 74, 74, 74]


def test_decay_figures_pair_the_seeds(runs):
    free, held = (muon.pick(runs, matrices="muon", lr=0.016, decay=decay, steps=800) for decay in (0.0, 0.1))
    assert [run.seed for run in free] == [run.seed for run in held]
    *lines, mean = muon.decay_gap(runs, 0.016, 800).figure["data"]
    gaps = [one.held_out - other.held_out for one, other in zip(free, held, strict=True)]
    assert [line["y"] for line in lines] == [pytest.approx(gap.tolist(), abs=1e-4) for gap in gaps]
    assert mean["y"] == pytest.approx(np.mean(gaps, axis=0).tolist(), abs=1e-4)
    growth = muon.weight_growth(runs, 0.016, 800).figure["data"]
    ends = [np.mean([run.weight_rms[-1] for run in each]) for each in (free, held)]
    assert [line["y"][-1] for line in growth] == pytest.approx(ends, rel=1e-3)


def test_singular_values_through_iterations_are_sorted():
    values = {"square": [np.array([0.3, 0.1]), np.array([1.0, 0.5])], "wide": [np.array([0.2, 0.2]), np.array([0.9, 1.1])]}
    figure = muon.through_iterations(values).figure
    assert figure["frames"][1]["data"][0]["y"] == [0.5, 1.0] and "square 0.50 to 1.00" in figure["layout"]["meta"]["title"]


def test_a_folder_without_recordings_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"python -m runs\.muon"):
        muon.load_runs(tmp_path)
    shutil.copy(FOLDER / "adamw-lr0.004-decay0.1-steps300-seed0.json", tmp_path)
    (run,) = muon.load_runs(tmp_path)
    assert run.at.tolist() == [50, 100, 150, 200, 250, 300] and len(run.loss) == 300
