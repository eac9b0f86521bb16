"""The figures of K2 at a glance say what accounting says, in title and still too."""

import json
import re
import subprocess
import sys
from xml.etree import ElementTree

import pytest

from kimi_mini import accounting
from kimi_mini.accounting import Layout
from kimi_mini.presets import DEEPSEEK_V3, K2, MOONLIGHT
from kimi_mini.viz import glance, still

FIGURES = [
    glance.pixels,
    glance.area_and_work,
    glance.calculator,
    glance.cache_sizes,
    glance.flops_per_token,
    glance.gpu_memory,
]


@pytest.mark.parametrize("figure", FIGURES)
def test_a_figure_has_a_still_that_is_well_formed(figure):
    element = ElementTree.fromstring(f"<div>{figure().still}</div>")
    marks = [mark for mark in element.iter() if mark.tag.endswith("rect")]
    assert marks and all(float(mark.get("width")) >= 0 and float(mark.get("height")) >= 0 for mark in marks)


def test_names_are_unique():
    names = [figure().name for figure in FIGURES]
    assert len(set(names)) == len(names)


def test_the_data_are_the_counts_of_accounting():
    models = glance.pixels().data["models"]
    for key, config in {"K2": K2, "DEEPSEEK_V3": DEEPSEEK_V3, "MOONLIGHT": MOONLIGHT}.items():
        count = accounting.count_parameters(config)
        assert models[key]["count"]["total"] == count.total == sum(block["total"] for block in models[key]["count"]["blocks"])
        assert models[key]["count"]["activated"] == count.activated


def percent(share):
    return f"{share:.1%}".replace("%", "\u00a0%")


def test_titles_carry_the_numbers():
    count = accounting.count_parameters(K2)
    share = count["attention"].activated / count.activated
    states = max(gpu.total for gpu in accounting.memory_per_gpu(K2, Layout(pipeline=16, expert=16, data=8)))
    assert percent(count.activated / count.total) in glance.pixels().title
    assert percent(share) in glance.area_and_work().title
    assert f"{states / 1e9:.1f} GB" in glance.gpu_memory().title
    assert f"{accounting.cache_bytes(K2, 131072) / 2**30:.2f} GiB" in glance.cache_sizes().title


def test_alt_texts_do_not_contradict_accounting():
    gib = {kind: accounting.cache_bytes(K2, 131072, kind) / 2**30 for kind in ("mha", "gqa", "mla", "mqa")}
    numbers = re.findall(r"([\d.]+) GiB", glance.cache_sizes().alt)
    assert numbers == [f"{gib[kind]:.3g}" for kind in gib]
    attention = accounting.decode_flops(K2, 131072)
    assert f"attention is {attention.attention / attention.total:.0%}".replace("%", " %") in glance.flops_per_token().alt


def test_data_are_json_of_modest_size():
    for figure in FIGURES:
        assert len(json.dumps(figure().data)) < 20_000


def test_stills_escape_what_they_are_given():
    assert "<b>" not in still.bars([("<b>", 1.0, "<b>", "rest")]) + still.table(["<b>"], [["<b>"]])


def test_the_package_starts_without_plotting_and_notebook_libraries():
    """Also the figures: they emit text, and whatever shows it is already there."""
    code = (
        "import sys, kimi_mini.viz.glance as g; g.pixels(); "
        "print([m for m in ('plotly', 'ipywidgets', 'IPython', 'transformers', 'matplotlib') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
