"""The source of a package object, highlighted, with a link to its file and line: `show(obj)`, `show_file` without importing."""

from __future__ import annotations

import ast
import html
import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..checks import require
from .stage import book_is_built

_PACKAGE = Path(__file__).parents[1]


@dataclass(frozen=True)
class Source:
    """The source text of one object; `path` is relative to the folder that holds the package."""

    text: str
    path: str
    line: int

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/html": self._repr_html_(), "text/plain": f"{self.path}:{self.line}\n{self.text}"}

    def _repr_html_(self) -> str:
        where = f"{html.escape(self.path)}:{self.line}"
        if book_is_built():
            page = html.escape(self.path.removesuffix(".py"))
            where = f'<a href="../_modules/{page}.html#L{self.line}">{where}</a>'
        style = "" if book_is_built() else _live_style()
        return f'{style}<div class="km-shown"><p class="km-where">{where}</p>{_highlighted(self.text)}</div>'


def show(obj: Any) -> Source:
    """Show the source of a function, method, class or module of this package. Raises ValueError for anything else."""
    target = inspect.unwrap(obj.fget if isinstance(obj, property) else obj)
    try:
        path = Path(inspect.getsourcefile(target) or "").resolve()
        lines, line = inspect.getsourcelines(target)
    except (TypeError, OSError):
        raise ValueError(
            f"obj = {obj!r} has no source to show; expected a function, method, class or module of kimi_mini"
        ) from None
    if not path.is_relative_to(_PACKAGE):
        raise ValueError(f"obj = {obj!r} comes from {path.name}; expected a function, method, class or module of kimi_mini")
    text = inspect.cleandoc("\n" + "".join(lines)) + "\n"
    return Source(text, path.relative_to(_PACKAGE.parent).as_posix(), max(line, 1))


def show_file(path: str, name: str, last: int | None = None) -> Source:
    """Show a function or class of a file of this package that may lack what it imports: a kernel where there is no triton.

    `path` is relative to kimi_mini/; `last` shows that many of its last lines. Raises ValueError for a name that the file does
    not define at its top.
    """
    file = _PACKAGE / path
    text = file.read_text(encoding="utf-8")
    found = {node.name: node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    require(name in found, "name", name, f"one of {', '.join(found)}")
    node = found[name]
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    first = first if last is None else max(first, (node.end_lineno or first) - last + 1)
    lines = text.splitlines()[first - 1 : node.end_lineno]
    return Source("\n".join(lines) + "\n", f"{_PACKAGE.name}/{path}", first)


def _highlighted(text: str) -> str:
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer

    # The class names are those of Sphinx, so a built page colours this like its own code, light and dark.
    return highlight(text, PythonLexer(), HtmlFormatter(cssclass="highlight"))


def _live_style() -> str:
    """Colours for a notebook, which knows no Sphinx theme: light, and dark where the front end says so."""
    from pygments.formatters import HtmlFormatter

    light = HtmlFormatter(style="default", cssclass="highlight").get_style_defs(".km-shown .highlight")
    dark = HtmlFormatter(style="github-dark", cssclass="highlight")
    darks = ('body[data-jp-theme-light="false"]', "body.vscode-dark", "html[theme=dark]")
    scroll = ".km-shown pre{overflow-x:auto;padding:.5em .75em;line-height:1.45}.km-where{margin:0;font-family:monospace}"
    return f"<style>{scroll}{light}{''.join(dark.get_style_defs(f'{face} .km-shown .highlight') for face in darks)}</style>"
