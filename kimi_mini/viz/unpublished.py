"""Empty frames: what one would need for K2, as frames that are full, half full or empty."""

from __future__ import annotations

from ..claims import CHAPTERS
from ..unpublished import PIECES, STATES, WISHES, count_states
from . import still
from .stage import Stage, stage

OPENING, ASKED = "run", "pretrain"


def sentence(wish: str) -> str:
    """The count for one wish, in words."""
    published, elsewhere, nowhere = count_states(wish).values()
    needed = published + elsewhere + nowhere
    if published == needed:
        return f"To {WISHES[wish]}, {needed} pieces are needed here, and all {needed} are published."
    rest = f"{elsewhere} known only from elsewhere, {nowhere} from nowhere"
    return f"To {WISHES[wish]}, {needed} pieces are needed here: {published} published, {rest}."


def frames() -> Stage:
    """All pieces by wish; how many of those for pre-training are published nowhere is guessed first."""
    pieces = [
        {
            "name": piece.name, "wish": piece.wish, "state": piece.state, "said": piece.said, "source": piece.source,
            "here": piece.chosen_here(), "chapter": f"{piece.chapter}. {CHAPTERS[piece.chapter]}",
        }
        for piece in PIECES
    ]  # fmt: skip
    return stage(
        "frames",
        {
            "pieces": pieces, "wishes": WISHES, "states": STATES, "opening": OPENING, "asked": ASKED,
            "sentences": {wish: sentence(wish) for wish in WISHES},
            "nowhere": count_states(ASKED)["nowhere"], "needed": sum(count_states(ASKED).values()),
        },
        name="unpublished-frames",
        title=sentence(OPENING),
        alt="One frame for each piece that is needed: full where it is published, half full where only a relative of K2 or a "
        "third party gives it, dashed and empty where it is published nowhere. To run K2 all frames are full.",
        still=still.table(
            ("piece", "to", "where", "what is said"),
            [(piece.name, WISHES[piece.wish], STATES[piece.state], piece.said) for piece in PIECES],
        ),
        height=760,
    )  # fmt: skip
