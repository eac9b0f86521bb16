"""show(): the source of a package object, with a link to where it stands; nothing from outside."""

import html
import inspect
import json
import re
from pathlib import Path

import pytest

import kimi_mini
from kimi_mini import accounting, presets
from kimi_mini.config import ModelConfig
from kimi_mini.viz import show

ROOT = Path(kimi_mini.__file__).parents[1]


def plain(markup):
    """Text of some HTML without its styles."""
    return html.unescape(re.sub(r"<[^>]+>", "", re.sub(r"<style>.*?</style>", "", markup, flags=re.S)))


@pytest.mark.parametrize("obj", [accounting.count_parameters, accounting.Layout, ModelConfig.from_hf, accounting])
def test_the_source_is_shown_whole(obj):
    source = show(obj)
    assert source.text.strip() == inspect.cleandoc("\n" + inspect.getsource(obj)).strip()
    assert source.text.strip() in plain(source._repr_html_())


@pytest.mark.parametrize("obj", [accounting.count_parameters, accounting.Layout, ModelConfig.from_hf])
def test_path_and_line_point_at_the_object(obj):
    source = show(obj)
    lines = (ROOT / source.path).read_text().splitlines()
    assert lines[source.line - 1].strip() == source.text.splitlines()[0]


def test_a_property_shows_its_getter():
    assert "def qk_head_dim(self)" in show(ModelConfig.qk_head_dim).text


def test_the_built_page_links_to_the_source_page(monkeypatch):
    monkeypatch.setenv("KIMI_BOOK", "static")
    source = show(accounting.count_parameters)
    link = f'<a href="../_modules/kimi_mini/accounting.html#L{source.line}">kimi_mini/accounting.py:{source.line}</a>'
    assert link in source._repr_html_()
    assert "<style>" not in source._repr_html_()


def test_a_notebook_gets_path_and_line_without_a_link(monkeypatch):
    monkeypatch.delenv("KIMI_BOOK", raising=False)
    source = show(accounting.count_parameters)
    assert f"kimi_mini/accounting.py:{source.line}" in source._repr_html_()
    assert "<a " not in source._repr_html_()


@pytest.mark.parametrize("obj", [json.dumps, json, len, int, presets.K2, 3, "kimi_mini", None, lambda: 0])
def test_what_is_not_of_the_package_is_refused(obj):
    with pytest.raises(ValueError, match="expected a function, method, class or module of kimi_mini"):
        show(obj)
