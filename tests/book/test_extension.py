"""The book's Sphinx extension on small books of its own: source links, terms, plotly figures, stale caches."""

import json
import subprocess
import sys
from html import escape
from pathlib import Path

import pytest
import yaml

from kimi_mini import dev

sys.path.insert(0, str(dev.ROOT / "book" / "_ext"))
import hover_terms
import source_pages

FIGURE = {
    "data": [{"type": "scatter", "x": [1, 2, 3], "y": [2, 1, 3]}],
    "layout": {"title": {"text": "</script>"}, "meta": {"alt": "three points"}},
}


def _build(folder: Path, pages: dict[str, str | dict], repository: str = "") -> subprocess.CompletedProcess:
    """Build a book of these pages with the real book's configuration; a dict is a notebook's one output."""
    config = yaml.safe_load((dev.ROOT / "_config.yml").read_text())
    config["sphinx"]["local_extensions"]["kimi_book"] = str(dev.ROOT / "book" / "_ext")
    config["repository"]["url"] = repository
    config["bibtex_bibfiles"] = ["references.bib"]
    (folder / "references.bib").touch()
    config["html"]["favicon"] = ""
    config["execute"]["execute_notebooks"] = "off"
    (folder / "_config.yml").write_text(yaml.safe_dump(config))
    for name, content in pages.items():
        (folder / name).write_text(content if isinstance(content, str) else _notebook(content))
    root, *chapters = [Path(name).stem for name in pages]
    toc = {"format": "jb-book", "root": root} | ({"chapters": [{"file": name} for name in chapters]} if chapters else {})
    (folder / "_toc.yml").write_text(yaml.safe_dump(toc))
    command = [Path(sys.executable).with_name("jupyter-book"), "build", ".", "-W", "--keep-going"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def _notebook(figure: dict) -> str:
    output = {"output_type": "display_data", "metadata": {}, "data": {"application/vnd.plotly.v1+json": figure}}
    title = {"cell_type": "markdown", "metadata": {}, "source": "# A figure", "id": "a"}
    code = {"cell_type": "code", "metadata": {}, "source": "figure", "execution_count": 1, "outputs": [output], "id": "b"}
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3"}, "language_info": {"name": "python"}}
    return json.dumps({"cells": [title, code], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})


def test_an_object_is_found_by_reading_the_source():
    path, line = source_pages.locate("kimi_mini.dev.build_book")
    assert path == dev.ROOT / "kimi_mini" / "dev.py"
    assert path.read_text().splitlines()[line - 1].startswith("def build_book(")
    path, line = source_pages.locate("kimi_mini.dev.VENV")
    assert path.read_text().splitlines()[line - 1].startswith("VENV =")
    path, line = source_pages.locate("kimi_mini.config.ModelConfig.to_hf")
    assert path.read_text().splitlines()[line - 1].strip().startswith("def to_hf(")


@pytest.mark.parametrize(
    "name", ["kimi_mini.config.NoSuchThing", "kimi_mini.no_such_module", "torch.nn.Linear", "kimi_mini.dev.main.x"]
)
def test_what_is_not_in_the_package_is_an_error(name):
    with pytest.raises(LookupError, match=name):
        source_pages.locate(name)


@pytest.mark.slow
def test_a_link_to_a_missing_object_fails_the_build(tmp_path):
    run = _build(tmp_path, {"intro.md": "# Title\n\n{src}`kimi_mini.dev.build_book`\n{src}`kimi_mini.dev.build_boat`\n"})
    assert run.returncode != 0
    assert (
        "kimi_mini.dev.build_boat is not in the package: kimi_mini/dev.py does not define build_boat" in run.stdout + run.stderr
    )
    _, line = source_pages.locate("kimi_mini.dev.build_book")
    assert f'href="_modules/kimi_mini/dev.html#L{line}"' in (tmp_path / "_build/html/intro.html").read_text()


def test_the_glossary_is_read_term_by_term():
    page = "# Words\n\n```{glossary}\n:sorted:\n\none\n  The first\n  of all.\ntwo words\n  Both.\n```\n\nnot\n  one\n"
    assert hover_terms.definitions(page) == {"one": "The first of all.", "two words": "Both."}
    assert hover_terms.definitions("# No words\n") == {}


def test_definitions_are_written_in_the_glossary_alone():
    found = hover_terms.definitions(hover_terms.GLOSSARY.read_text())
    assert len(found) >= 5 and all(text.endswith(".") and not set(text) & set("`*{}[]$") for text in found.values())
    pages = [path for suffix in ("*.md", "*.ipynb") for path in (dev.ROOT / "book").rglob(suffix)]
    assert [path.name for path in pages if "<abbr" in path.read_text()] == []


@pytest.mark.slow
def test_a_term_shows_its_definition_and_an_unknown_one_fails_the_build(tmp_path):
    run = _build(tmp_path, {"intro.md": "# Title\n\nA {km-term}`cache`, {km-term}`caches <cache>`, a {km-term}`cash`.\n"})
    assert run.returncode != 0
    assert "cash is not in glossary.md" in run.stdout + run.stderr
    definition = escape(hover_terms.definitions(hover_terms.GLOSSARY.read_text())["cache"])
    page = (tmp_path / "_build" / "html" / "intro.html").read_text()
    for word in ("cache", "caches"):
        assert f'<abbr class="km-term" tabindex="0" title="{definition}">{word}</abbr>' in page


@pytest.mark.slow
def test_a_figure_without_alt_text_fails_the_build(tmp_path):
    run = _build(tmp_path, {"intro.md": "# Title\n", "figure.ipynb": {**FIGURE, "layout": {}}})
    assert run.returncode != 0
    assert "a plotly figure has no alt text" in run.stdout + run.stderr


@pytest.mark.slow
def test_caches_go_when_the_key_changes_and_stay_when_not(tmp_path):
    pages = {"intro.md": "# Title\n"}
    assert _build(tmp_path, pages).returncode == 0
    executed = tmp_path / "_build" / ".jupyter_cache" / "an executed notebook"
    executed.parent.mkdir(exist_ok=True)
    executed.touch()
    assert _build(tmp_path, pages).returncode == 0
    assert executed.exists()
    (tmp_path / "_build" / "kimi-book.key").write_text("the key of another version of the package")
    assert _build(tmp_path, pages).returncode == 0
    assert not executed.exists()


@pytest.mark.slow
def test_a_repository_set_in_the_one_place_is_linked_from_pages_and_sources(tmp_path):
    assert _build(tmp_path, {"intro.md": "# Title\n"}, repository="https://github.com/example/kimi").returncode == 0
    html = tmp_path / "_build" / "html"
    address, source = "https://github.com/example/kimi", (html / "_modules/kimi_mini/dev.html").read_text()
    assert f'href="{address}"' in (html / "intro.html").read_text()
    assert f'href="{address}/blob/main/kimi_mini/dev.py"' in source


@pytest.mark.browser
def test_mathematics_is_set_offline(page_at, tmp_path):
    """Also macros that MathJax loads only when it meets them."""
    run = _build(tmp_path, {"intro.md": "# Title\n\nSo $\\tau = \\boldsymbol{x} \\cancel{y}$.\n"})
    assert run.returncode == 0, run.stdout + run.stderr
    page = page_at(tmp_path / "_build" / "html" / "intro.html")
    page.locator("mjx-container svg").wait_for()
    assert page.locator("mjx-container [data-mml-node=merror], mjx-container mtext[fill=red]").count() == 0
    assert page.locator("mjx-container [data-mml-node=menclose]").count() == 1


@pytest.mark.browser
def test_a_plotly_figure_is_drawn_offline_in_the_colours_of_the_theme(page_at, tmp_path, built_book):
    run = _build(tmp_path, {"intro.md": "# Title\n", "figure.ipynb": FIGURE})
    assert run.returncode == 0, run.stdout + run.stderr
    html = tmp_path / "_build" / "html"
    assert "plotly.min.js" not in (html / "intro.html").read_text(), "4.8 MB for a page without a figure"
    page = page_at(html / "figure.html", dark=True)
    page.locator(".km-plotly .scatterlayer path").first.wait_for()
    assert page.get_by_role("img", name="three points").count() == 1
    assert page.locator(".km-plotly .gtitle").text_content() == "</script>"
    axis = page.locator(".km-plotly .xtick text").first
    dark = axis.evaluate("node => getComputedStyle(node).fill")
    while page.evaluate("document.documentElement.dataset.theme") != "light":
        page.locator(".theme-switch-button").first.click()
    page.wait_for_function(
        "([node, old]) => getComputedStyle(node).fill !== old",
        arg=[page.locator(".km-plotly .xtick text").first.element_handle(), dark],
    )
