"""The book's Sphinx extension: the static face, fresh caches, and pages that work from a folder with no network."""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import importlib.util
import os
import re
import shutil
import sys
from pathlib import Path

import hover_terms
import mini_files
import source_pages
from sphinx.application import Sphinx
from sphinx.config import Config

ROOT = Path(__file__).resolve().parent.parent.parent
STATIC = ROOT / "book" / "_static"
STAGE = ROOT / "kimi_mini" / "viz" / "static"
PLOTLY_SCRIPTS = ("plotly.min.js", "plotly-figures.js")


def setup(app: Sphinx) -> dict:
    """Called by Sphinx before anything is read."""
    os.environ["KIMI_BOOK"] = "static"  # kernels inherit it: figures show their static face
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # small models gain nothing from two threads, and crawl when cores are busy
    _drop_stale_caches(app)
    app.add_config_value("kimi_stage", _stage_files(), "html")  # a new script changes every page
    app.add_config_value("comments_config", {}, "html")  # jupyter-book sets it, with or without the extension that reads it
    app.connect("config-inited", _set_paths)
    app.connect("builder-inited", _copy_assets)
    app.connect("html-page-context", _add_scripts)
    source_pages.setup(app)
    hover_terms.setup(app)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def _drop_stale_caches(app: Sphinx) -> None:
    """The caches of executed notebooks and of parsed pages do not notice what they depend on; the key does."""
    build = Path(app.outdir).parent
    key_file, key = build / "kimi-book.key", _cache_key()
    if not key_file.exists() or key_file.read_text() != key:
        shutil.rmtree(build / ".jupyter_cache", ignore_errors=True)
        shutil.rmtree(app.doctreedir, ignore_errors=True)
        build.mkdir(parents=True, exist_ok=True)
        key_file.write_text(key)


def _cache_key() -> str:
    """Hash of the package, the data that chapters read, this extension, the environment switch, Python and torch."""
    key = hashlib.sha256(f"{os.environ['KIMI_BOOK']} {sys.version} {importlib.metadata.version('torch')}".encode())
    for folder in ("kimi_mini", "book/data", "book/_ext"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                key.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return key.hexdigest()


def _set_paths(app: Sphinx, config: Config) -> None:
    config.html_static_path.append(str(STATIC))
    config.html_css_files.append("kimi.css")
    config.templates_path.append(str(Path(__file__).parent / "templates"))
    if config.html_theme_options.get("repository_url"):
        config.html_theme_options.update(use_repository_button=True, use_issues_button=True)


# --- assets -----------------------------------------------------------------------------------------------------------


def _stage_files() -> list[str]:
    """Names of the stage's scripts and style sheets, in the order in which pages load them."""
    return sorted(path.name for path in STAGE.glob("*") if path.suffix in (".js", ".css"))


def _copy_assets(app: Sphinx) -> None:
    """Put what pages would otherwise fetch from elsewhere into `_static`."""
    if app.builder.format != "html":
        return
    static = Path(app.outdir) / "_static"
    for folder in ("stage", "mathjax", "mini"):
        shutil.rmtree(static / folder, ignore_errors=True)
        (static / folder).mkdir(parents=True)
    for name in _stage_files():
        shutil.copy(STAGE / name, static / "stage" / name)
    mathjax = _package("sphinx-mathjax-offline") / "static" / "mathjax"
    shutil.copy(mathjax / "tex-svg.js", static / "mathjax")
    shutil.copytree(mathjax / "input" / "tex" / "extensions", static / "mathjax" / "input" / "tex" / "extensions")
    shutil.copy(_package("plotly") / "package_data" / "plotly.min.js", static)
    mini_files.write_mini(ROOT / "kimi_mini" / "data", static / "mini")
    (static / "icons.css").write_text(_icons_css(), encoding="utf-8")


def _icons_css() -> str:
    """Font Awesome's style sheet with the fonts inside: a page opened from disk may not load font files."""
    theme = _package("pydata_sphinx_theme") / "theme" / "pydata_sphinx_theme" / "static" / "vendor" / "fontawesome"
    sheet = next(theme.glob("*/css/all.min.css"))
    css = re.sub(r"@font-face\{[^}]*\}", "", sheet.read_text(encoding="utf-8"))
    for family, weight, file in (
        ("Free", 900, "fa-solid-900"),
        ("Free", 400, "fa-regular-400"),
        ("Brands", 400, "fa-brands-400"),
    ):
        font = base64.b64encode((sheet.parent.parent / "webfonts" / f"{file}.woff2").read_bytes()).decode()
        source = f'url(data:font/woff2;base64,{font}) format("woff2")'
        css += f'\n@font-face{{font-family:"Font Awesome 6 {family}";font-weight:{weight};font-display:block;src:{source}}}'
    return css + "\n"


def _package(name: str) -> Path:
    return Path(importlib.util.find_spec(name).submodule_search_locations[0])


def _add_scripts(app: Sphinx, page: str, template: str, context: dict, doctree) -> None:
    """Chapters load the stage; pages with a plotly figure load plotly too. Classic scripts: file:// refuses modules."""
    if doctree is None:
        return
    # A label that hides the words a reader sees cannot be spoken to.
    context["body"] = context["body"].replace(' aria-label="Toggle hidden content"', "")
    for name in app.config.kimi_stage:
        (app.add_css_file if name.endswith(".css") else app.add_js_file)(f"stage/{name}")
    if 'class="km-plotly ' in context.get("body", ""):
        for name in PLOTLY_SCRIPTS:
            app.add_js_file(name)
