"""The package's source as pages of the book, and the role {src} that links prose to a line of it.

`kimi_mini/model/mla.py` becomes `_modules/kimi_mini/model/mla.html`; line 12 is `#L12`. `_modules/index.html` lists all.
"""

from __future__ import annotations

import ast
import html
import posixpath
import re
from functools import lru_cache
from pathlib import Path

from docutils import nodes
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import ReferenceRole

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGE = ROOT / "kimi_mini"
INDEX = "_modules/index"

logger = logging.getLogger(__name__)


def setup(app: Sphinx) -> None:
    """Register the role and the pages."""
    app.add_role("src", SourceRole())
    app.connect("html-collect-pages", source_pages)


class SourceRole(ReferenceRole):
    """{src}`kimi_mini.config.ModelConfig` or {src}`the config <kimi_mini.config.ModelConfig>`; unknown names warn."""

    def run(self):
        """Return a link to the line where the object is defined, or to the list of files for `kimi_mini` itself."""
        shown = self.title if self.has_explicit_title else self.target.removeprefix("kimi_mini.")
        text = (nodes.inline if self.has_explicit_title else nodes.literal)(text=shown)
        try:
            page, fragment, hint = self._page()
        except LookupError as missing:
            logger.warning("{src}: %s", missing, location=self.get_location())
            return [text], []
        builder = self.env.app.builder
        if builder.format != "html":
            return [text], []
        uri = builder.get_relative_uri(self.env.docname, page) + fragment
        return [nodes.reference("", "", text, internal=True, refuri=uri, reftitle=hint, classes=["km-src"])], []

    def _page(self) -> tuple[str, str, str]:
        if self.target == PACKAGE.name:
            return INDEX, "", "every file of the package"
        path, line = locate(self.target)
        return page_name(path), f"#L{line}", f"{path.relative_to(ROOT).as_posix()}, line {line}"


# --- where an object is defined ---------------------------------------------------------------------------------------


def locate(name: str) -> tuple[Path, int]:
    """File and line of `kimi_mini.module.object`, read from the source without importing; LookupError if there is none."""
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        path = _module_file(parts[:cut])
        if path:
            return path, _line_of(path, parts[cut:], name)
    raise LookupError(f"{name} is not in the package: no such module")


def _module_file(parts: list[str]) -> Path | None:
    if parts[0] != PACKAGE.name:
        return None
    base = ROOT.joinpath(*parts)
    return next((path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()), None)


def _line_of(path: Path, attributes: list[str], name: str) -> int:
    body, line = _parse(path).body, 1
    for attribute in attributes:
        node = next((node for node in body if attribute in _names(node)), None)
        if node is None:
            raise LookupError(f"{name} is not in the package: {path.relative_to(ROOT)} does not define {attribute}")
        body, line = getattr(node, "body", []), node.lineno
    return line


def _names(node: ast.stmt) -> set[str]:
    """Names that a statement defines: a class, a function, or the targets of an assignment."""
    if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
        return {node.name}
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}


@lru_cache
def _parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


# --- the pages --------------------------------------------------------------------------------------------------------


def page_name(path: Path) -> str:
    """Page of a source file, without `.html`."""
    return "_modules/" + path.relative_to(ROOT).with_suffix("").as_posix()


def source_pages(app: Sphinx):
    """Yield (page, context, template) for each module, and for the list of all."""
    files = sorted(PACKAGE.rglob("*.py"))
    for path in files:
        name = path.relative_to(ROOT).as_posix()
        yield page_name(path), {"title": name, "body": _source_body(app, path)}, "page.html"
    entries = "".join(_index_entry(path) for path in files)
    body = f'<h1>The package, file by file</h1>\n<dl class="km-files">{entries}</dl>'
    yield INDEX, {"title": "The package, file by file", "body": body}, "page.html"


def _source_body(app: Sphinx, path: Path) -> str:
    name = path.relative_to(ROOT).as_posix()
    home = posixpath.relpath(f"{INDEX}.html", posixpath.dirname(page_name(path)))
    links = f'<a href="{home}">all files</a>'
    repository = app.config.html_theme_options.get("repository_url")
    if repository:
        branch = app.config.html_theme_options.get("repository_branch", "main")
        links += f' · <a href="{repository}/blob/{branch}/{name}">in the repository</a>'
    code = highlight(path.read_text(encoding="utf-8"), PythonLexer(stripnl=False), HtmlFormatter(nowrap=True))
    lines = "".join(_line(number, line) for number, line in enumerate(code.splitlines(), 1))
    return f'<h1>{html.escape(name)}</h1>\n<p>{links}</p>\n<div class="highlight km-source"><pre>{lines}</pre></div>'


def _line(number: int, code: str) -> str:
    return f'<span class="km-line" id="L{number}"><a href="#L{number}">{number}</a>{code}\n</span>'


def _index_entry(path: Path) -> str:
    href = posixpath.relpath(page_name(path), "_modules") + ".html"
    purpose = html.escape((ast.get_docstring(_parse(path)) or "").split("\n")[0])
    purpose = re.sub(r"`([^`]+)`", r"<code>\1</code>", purpose)
    return f'<dt><a href="{href}"><code>{path.relative_to(ROOT).as_posix()}</code></a></dt><dd>{purpose}</dd>'
