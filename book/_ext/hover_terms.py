"""The role {km-term}: a word that shows its definition on hover and focus, taken from the book's one glossary."""

from __future__ import annotations

import html
import re
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import ReferenceRole

GLOSSARY = Path(__file__).resolve().parent.parent / "glossary.md"

logger = logging.getLogger(__name__)


def setup(app: Sphinx) -> None:
    """Register the role."""
    app.add_role("km-term", TermRole())


class TermRole(ReferenceRole):
    """{km-term}`cache` or {km-term}`routed experts <routed expert>`; a term that the glossary lacks is a warning."""

    def run(self):
        """Return the word with its definition; other builders than HTML get the word alone."""
        self.env.note_dependency(str(GLOSSARY))  # a new definition is read again by every page that shows it
        definition = definitions(GLOSSARY.read_text(encoding="utf-8")).get(self.target)
        if definition is None:
            logger.warning("{km-term}: %s is not in %s", self.target, GLOSSARY.name, location=self.get_location())
        if definition is None or self.env.app.builder.format != "html":
            return [nodes.inline(text=self.title)], []
        title, word = html.escape(definition), html.escape(self.title)
        return [nodes.raw("", f'<abbr class="km-term" tabindex="0" title="{title}">{word}</abbr>', format="html")], []


def definitions(page: str) -> dict[str, str]:
    """Term to definition, from the {glossary} of a page: a term at the margin, its definition indented below."""
    block = re.search(r"^```\{glossary\}\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    entries = re.findall(r"^(\w.*)\n((?:[ ]+\S.*\n)+)", block.group(1), re.MULTILINE) if block else []
    return {term: " ".join(lines.split()) for term, lines in entries}
