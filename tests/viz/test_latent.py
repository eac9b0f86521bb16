"""The figures of latent attention draw what accounting counts and what MINI's layers compute, and refuse what is not that."""

import json
import re
import statistics
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

import kimi_mini as km
from kimi_mini import kernels
from kimi_mini.accounting import attention_flops_per_pair, cache_bytes, decode_flops
from kimi_mini.viz import latent
from kimi_mini.viz.series import unpack

TOKENS = list(range(3, 23))
PAIRS = [(8, 2), (19, 19), (15, 0)]


@pytest.fixture(scope="module")
def mini():
    return km.load_mini()[0].double().requires_grad_(False)


@pytest.fixture(scope="module")
def paths(mini):
    return latent.both_paths(mini, TOKENS, PAIRS)


# ---- shelves -----------------------------------------------------------------------------------------------------------


def test_the_shelves_say_what_accounting_counts():
    figure = latent.shelves()
    gib = {kind: cache_bytes(km.K2, 131_072, kind) / 2**30 for kind in ("mha", "gqa", "mqa", "mla")}
    assert figure.data["config"]["num_attention_heads"] == 64 and figure.data["gpu"] == 141e9
    assert f"{gib['mha']:.0f}\u00a0GiB" in figure.title and f"{gib['mla']:.2f}\u00a0GiB" in figure.title
    room = figure.data["gpu"] / 2**30
    assert re.findall(r"([\d.]+) GiB", figure.alt) == [f"{room:.0f}", *(f"{size:.3g}" for size in gib.values())]
    assert f"{decode_flops(km.K2, 131_072).total / 1e9:,.0f} GFLOP" in figure.alt
    cells = [cell.text for cell in ElementTree.fromstring(f"<div>{figure.still}</div>").iter("td")]
    assert cells[2::3] == [str(int(room / size)) for size in gib.values()] == ["0", "4", "34", "15"]


# ---- both paths --------------------------------------------------------------------------------------------------------


def test_expanded_logits_are_those_that_attention_sees(mini, paths, monkeypatch):
    seen, original = [], kernels.attention

    def record(q, k, v, *, scale, **kwargs):
        seen.append(torch.einsum("bthn,bshn->bhts", q, k)[0] * scale)
        return original(q, k, v, scale=scale, **kwargs)

    monkeypatch.setattr(kernels, "attention", record)
    mini(torch.tensor([TOKENS]))
    expected = torch.stack([torch.stack([logits_HTS[:, t, s] for logits_HTS in seen]) for t, s in PAIRS])
    for content_PLH in paths.content_2PLH:
        torch.testing.assert_close(content_PLH + paths.rotary_PLH, expected, atol=1e-12, rtol=0)


def test_logits_of_mini_agree_to_the_last_digits(paths):
    # Claim 4, one logit at a time: the paths sum other products, so only rounding may tell them apart.
    expanded_PLH, absorbed_PLH = paths.content_2PLH
    assert not torch.equal(paths.expanded_PLHN[..., -2], paths.absorbed_PLHC[..., -2])
    torch.testing.assert_close(absorbed_PLH, expanded_PLH, atol=1e-14, rtol=0)
    shared = [latent.shared_digits(a, b) for a, b in torch.stack((expanded_PLH, absorbed_PLH), -1).flatten(0, 2).tolist()]
    assert statistics.median_low(shared) >= 14


def test_the_running_sums_have_a_product_for_each_number(mini, paths):
    c = mini.config
    assert paths.expanded_PLHN.shape == (3, c.num_hidden_layers, c.num_attention_heads, c.qk_nope_head_dim)
    assert paths.absorbed_PLHC.shape == (3, c.num_hidden_layers, c.num_attention_heads, c.kv_lora_rank)


@pytest.mark.parametrize("pair", [(2, 3), (20, 1), (3, -1)])
def test_a_pair_that_no_query_may_see_is_refused(mini, pair):
    with pytest.raises(ValueError, match="pair = "):
        latent.both_paths(mini, TOKENS, [(5, 1), pair])


def test_digits_want_float64():
    with pytest.raises(ValueError, match=r"call model\.double\(\)"):
        latent.both_paths(km.KimiMini(km.NANO), [1, 2], [(1, 0)])


@pytest.mark.parametrize(
    ("a", "b", "count"), [(1.5, 1.5, 17), (1.25, 1.5, 1), (2.0, -2.0, 0), (10.0, 1.0, 0), (0.1 + 0.2, 0.3, 0), (5.0, 5.25, 1)]
)
def test_shared_digits(a, b, count):
    assert latent.shared_digits(a, b) == count == latent.shared_digits(b, a)


# ---- the card ----------------------------------------------------------------------------------------------------------


def test_the_card_has_every_digit_and_the_sums(mini, paths):
    figure = latent.logit(paths, ["a", "b", "c"], mini.config)
    data = json.loads(json.dumps(figure.data))
    expanded_PLH, absorbed_PLH = paths.content_2PLH
    assert data["expanded"] == expanded_PLH.tolist() and data["absorbed"] == absorbed_PLH.tolist(), "to the last bit"
    assert unpack(data["sums"]["absorbed"], (3, 5, 6, 64)) == pytest.approx(paths.absorbed_PLHC.numpy(), rel=1e-3, abs=1e-4)
    shared = [latent.shared_digits(a, b) for a, b in np.stack([expanded_PLH.flatten(), absorbed_PLH.flatten()], 1).tolist()]
    assert data["shared"] == {"all": 90, "median": statistics.median_low(shared), "least": min(shared)}
    assert data["flops"]["k2"] == {path: attention_flops_per_pair(km.K2, path) for path in ("expanded", "absorbed")}
    assert re.findall(r"([\d,]+) (?:FLOPs expanded|absorbed)", figure.alt)[-2:] == ["640", "2,176"]
    assert f"{expanded_PLH[0, 0, 0]:.17g}" in figure.still and len(json.dumps(figure.data)) < 100_000


def test_the_card_wants_a_name_for_each_pair(mini, paths):
    with pytest.raises(ValueError, match="one for each of 3 pairs"):
        latent.logit(paths, ["a"], mini.config)


# ---- quiet figures -----------------------------------------------------------------------------------------------------


def test_the_real_caches_are_dots_and_mha_is_a_line():
    heads, measured = [6, 12], {64: [100 * 2**20, 100 * 2**20], 128: [200 * 2**20, 300 * 2**20]}
    figure = latent.cache_against_heads(heads, measured, km.MINI).figure
    line, dots = figure["frames"][0]["data"]
    assert dots["y"] == [100, 100] and dots["mode"] == "markers+text"
    twice = km.MINI.replace(num_attention_heads=12)
    expected = [cache_bytes(config, 64, "mha", bytes_per_element=4) / 2**20 for config in (km.MINI, twice)]
    assert line["y"] == pytest.approx(expected, rel=1e-3)
    titles = figure["layout"]["meta"]["titles"]
    assert "stays at 100.00 MiB" in titles[0] and "from 200.00 to 300.00 MiB" in titles[1]


def test_a_query_merged_once_is_off_by_what_the_title_says():
    figure = latent.merged_once([0, 1, 2], {0.0: [2.0, 2.0, 2.0], 0.5: [2.0, 0.5, 3.0]}, 2.0).figure
    turned, merged = figure["frames"][1]["data"]
    assert turned["y"] == [2.0, 0.5, 3.0] and merged["y"] == [2.0] * 3
    assert [title.split()[-1] for title in figure["layout"]["meta"]["titles"]] == ["0.00", "1.50"]


def test_the_name_of_a_level_keeps_clear_of_the_curve():
    distances = list(range(49))
    turned = {angle: np.cos(angle * np.array(distances)).tolist() for angle in (0.05, 0.1, 0.2)}
    for frame in latent.merged_once(distances, turned, 0.4).figure["frames"]:
        turned_y, merged = frame["data"][0]["y"], frame["data"][1]
        at = next(index for index, text in enumerate(merged["text"]) if text.strip())
        near = [value - 0.4 for value in turned_y[at - 5 : at + 6]]
        assert max(near) < 0 if merged["textposition"] == "top center" else min(near) > 0


def test_names_stand_beside_lines_that_they_belong_to():
    times = {"kept": [1.0, 2.0, 8.0], "anew": [10.0, 20.0, 40.0], "absorbed": [1.5, 2.0, 3.0]}
    for place, frame in enumerate(latent.decode_costs(km.MOONLIGHT, [512, 2048, 8192], times).figure["frames"]):
        named = {"".join(trace["text"]).strip(): trace for trace in frame["data"]}
        named.pop("", None)
        lowest = min(named.values(), key=lambda trace: trace["y"][-1])
        below = [trace["textposition"] == "bottom right" for trace in named.values()]
        assert sum(below) == 1 and lowest["textposition"] == "bottom right" and len(named) == (3, 3, 2)[place]


def test_costs_are_as_measured_and_as_counted():
    times = {"kept": [1.0, 4.0], "anew": [10.0, 40.0], "absorbed": [2.0, 3.0]}
    figure = latent.decode_costs(km.MOONLIGHT, [512, 8192], times).figure
    by_time, by_flops, by_bytes = (
        {"".join(trace["text"]).strip(): trace["y"] for trace in f["data"]} for f in figure["frames"]
    )
    assert list(by_time.values()) == list(times.values())
    c, heads = km.MOONLIGHT, km.MOONLIGHT.num_attention_heads
    pair = {path: heads * attention_flops_per_pair(c, path) / 1e6 for path in ("expanded", "absorbed")}
    assert by_flops["<b>keys kept expanded</b>"][1] == pytest.approx(8192 * pair["expanded"], rel=1e-3)
    assert by_flops["<b>absorbed</b>"][1] == pytest.approx(8192 * pair["absorbed"], rel=1e-3)
    assert by_flops["<b>expanded anew</b>"][1] == pytest.approx(8192 * (pair["expanded"] + 2 * 512 * 16 * 256 / 1e6), rel=1e-3)
    assert by_bytes["<b>absorbed = expanded anew</b>"][1] == pytest.approx(8192 * 576 * 4 / 2**20, rel=1e-3)
    assert by_bytes["<b>keys kept expanded</b>"][1] == pytest.approx(8192 * 16 * 320 * 4 / 2**20, rel=1e-3)
    assert by_bytes[""] == by_bytes["<b>absorbed = expanded anew</b>"], "one line, one name"
    assert "3 ms absorbed, 4 ms with keys kept expanded" in figure["layout"]["meta"]["title"]


def test_costs_want_all_three_ways():
    with pytest.raises(ValueError, match="kept, anew, absorbed"):
        latent.decode_costs(km.MOONLIGHT, [512], {"kept": [1.0]})
