"""Prompts of rephrasing, as data: styles (how it is written) and perspectives (who tells it), and the message they make."""

from __future__ import annotations

from dataclasses import dataclass

from ..checks import is_int, require

STYLES = {
    "encyclopedia": "in the even tone of an encyclopedia",
    "plain": "in short, plain sentences that a child can read",
    "letter": "as a passage of a personal letter",
    "lecture": "as a teacher would say it to a class",
    "news": "as a short report in a newspaper, the most important thing first",
    "questions": "as questions, each followed by its answer in a full sentence",
}
PERSPECTIVES = {
    "neutral": "from nowhere in particular",
    "traveller": "as seen by a traveller who passes through",
    "local": "as told by someone who has always known it",
    "historian": "with an eye to when things happened",
    "examiner": "with an eye to what could be asked about it",
}
SYSTEM = "You rewrite texts. Keep every fact, name and number. Add nothing, leave out nothing. Write only the rewritten text."


@dataclass(frozen=True)
class Prompt:
    """A style and a perspective; `id` is what records carry."""

    style: str
    perspective: str

    @property
    def id(self) -> str:
        return f"{self.style}/{self.perspective}"

    def messages(self, chunk: str, previous: str = "") -> list[dict[str, str]]:
        """The request for `chunk`, with the rewriting of the chunk before it as context."""
        told = f"Rewrite the text {STYLES[self.style]}, {PERSPECTIVES[self.perspective]}."
        if previous:
            told += f" Continue from what you wrote before; do not repeat it.\n\n<previous>\n{previous}\n</previous>"
        return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": f"{told}\n\n<text>\n{chunk}\n</text>"}]


def prompts(count: int) -> list[Prompt]:
    """The first `count` prompts: neighbours differ in style and perspective, and all 30 pairs come before any repeats."""
    require(is_int(count, 1), "count", count, "an integer >= 1")
    styles, perspectives = list(STYLES), list(PERSPECTIVES)
    return [Prompt(styles[i % len(styles)], perspectives[i % len(perspectives)]) for i in range(count)]
