"""How a twist's source is made from the practice version's."""

from __future__ import annotations

import textwrap

from kimi_mini.checks import require


def patched(source: str, *changes: tuple[str, str]) -> str:
    """`source` with each old text, found exactly once, replaced by the new one."""
    for old, new in changes:
        require(source.count(old) == 1, f"places of {old!r}", source.count(old), "exactly 1")
        source = source.replace(old, new)
    return source


def docstring(*paragraphs: str) -> str:
    """A function's docstring, quotes and indent included; every paragraph is filled to 100 columns."""
    lines = "\n\n".join(textwrap.fill(paragraph, 100) for paragraph in paragraphs)
    return textwrap.indent(f'"""{lines}\n"""', "    ")
