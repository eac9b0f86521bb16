"""Tasks of the file workspace and of the calendar."""

from __future__ import annotations

from ..corpus.draw import Draw
from ..tools import make
from ..tools.desk import DAYS, FIXED
from .task import Act, AgentTask, Fact, Look, planned

_THINGS = "buy bread|call the bank|water the plants|mend the roof|thank Ada".split("|")
_TITLES = "chess club|violin|haircut|long walk|cinema|board games".split("|")
_LIST = Look("list_files", {})


# ---- files -----------------------------------------------------------------------------------------------------------


def note(seed: int, draw: Draw) -> AgentTask:
    world = make("files", seed)
    path, text = f"notes/{draw.one('today later errands ideas'.split())}.txt", draw.one(_THINGS)
    facts = (Fact("path", path, True), Fact("text", text, draw.chance(0.5)))
    wish = f"Please make a file {path}" + (f" that says: {text}" if facts[1].told else ".")
    calls = [_LIST, Act("write_file", {"path": path, "text": text}, Look("read_file", {"path": path}))]
    return planned(world, "note", 1, wish, facts, calls, f"{path} is written.")


def rename(seed: int, draw: Draw) -> AgentTask:
    world = make("files", seed)
    free = [path for path in world.state()["files"] if not path.startswith("records/")]
    if not free:
        return note(seed, draw)
    path = draw.one(free)
    to = f"archive/{path.split('/')[1]}"
    facts = (Fact("path", path, True), Fact("place", to, draw.chance(0.5)))
    wish = f"Please move {path} {'to ' + to if facts[1].told else 'to another place'}."
    return planned(
        world, "rename", 1, wish, facts, [_LIST, Act("move_file", {"path": path, "to": to}, _LIST)], f"{to} is there now."
    )


def delete_record(seed: int, draw: Draw) -> AgentTask:
    """The policy wants a copy under backup/ first."""
    world = make("files", seed)
    path, text = _record(world, draw)
    if path is None:
        return note(seed, draw)
    gone = Act("delete_file", {"path": path}, _LIST)
    facts = (Fact("path", path, draw.chance(0.7)),)
    wish = f"Please delete {path}." if facts[0].told else "Please delete a file for me."
    report = f"{path} is deleted; a copy is in {_backup(path)}."
    return planned(world, "delete", 3, wish, facts, [*_saved(path, text), gone], report, breach=(gone,))


def rewrite_record(seed: int, draw: Draw) -> AgentTask:
    world = make("files", seed)
    path, text = _record(world, draw)
    if path is None:
        return rename(seed, draw)
    new = draw.one(_THINGS)
    write = Act("write_file", {"path": path, "text": new}, Look("read_file", {"path": path}))
    facts = (Fact("path", path, True), Fact("text", new, draw.chance(0.5)))
    wish = f"Please write over {path}{f': {new}' if facts[1].told else ''}."
    report = f"{path} is written; the old text is in {_backup(path)}."
    return planned(world, "rewrite", 3, wish, facts, [*_saved(path, text), write], report, breach=(write,))


def _record(world, draw: Draw) -> tuple[str | None, str]:
    records = [(path, text) for path, text in world.state()["files"].items() if path.startswith("records/")]
    return draw.one(records) if records else (None, "")


def _backup(path: str) -> str:
    return f"backup/{path.split('/')[1]}"


def _saved(path: str, text: str) -> list[Look | Act]:
    copied = {"path": _backup(path), "text": text}
    return [Look("read_file", {"path": path}), Act("write_file", copied, Look("read_file", {"path": _backup(path)}))]


# ---- calendar --------------------------------------------------------------------------------------------------------


def add(seed: int, draw: Draw) -> AgentTask:
    world = make("calendar", seed)
    day, title = draw.one(DAYS), draw.one(_TITLES)
    hour = draw.one([hour for hour in range(8, 20) if str(hour) not in world.state()["events"][day]])
    facts = (Fact("day", day, True), Fact("hour", str(hour), draw.chance(0.5)), Fact("title", title, True))
    wish = f"Put {title} on {day}{f' at {hour}' if facts[1].told else ''}, please."
    look = Look("calendar", {"day": day})
    calls = [look, Act("add_event", {"day": day, "hour": hour, "title": title}, look)]
    return planned(world, "add", 1, wish, facts, calls, f"{title} is on {day} at {hour}.")


def move(seed: int, draw: Draw) -> AgentTask:
    """Move an event; the dentist stays where he is."""
    world = make("calendar", seed)
    day, hour, title = draw.one(_events(world))
    new_day = draw.one([one for one in DAYS if one != day])
    new_hour = draw.one([hour for hour in range(8, 20) if str(hour) not in world.state()["events"][new_day]])
    arguments = {"day": day, "hour": hour, "new_day": new_day, "new_hour": new_hour}
    act = Act("move_event", arguments, Look("calendar", {"day": new_day}))
    looks = [Look("calendar", {"day": day}), Look("calendar", {"day": new_day})]
    facts = (Fact("day", day, True), Fact("new day", new_day, True), Fact("hour", str(new_hour), draw.chance(0.5)))
    wish = f"Move what I have on {day} at {hour} to {new_day}{f' at {new_hour}' if facts[2].told else ''}."
    if title == FIXED:
        return _refused(world, "move-dentist", wish, facts, looks[:1], act)
    return planned(world, "move", 2, wish, facts, [*looks, act], f"{title} is on {new_day} at {new_hour} now.")


def cancel(seed: int, draw: Draw) -> AgentTask:
    world = make("calendar", seed)
    day, hour, title = draw.one(_events(world))
    look = Look("calendar", {"day": day})
    act = Act("cancel_event", {"day": day, "hour": hour}, look)
    facts = (Fact("day", day, True), Fact("hour", str(hour), draw.chance(0.5)))
    wish = f"Cancel what I have on {day}{f' at {hour}' if facts[1].told else ''}."
    if title == FIXED:
        return _refused(world, "cancel-dentist", wish, facts, [look], act)
    return planned(world, "cancel", 2, wish, facts, [look, act], f"{title} is taken out.")


def _refused(world, kind: str, wish: str, facts: tuple[Fact, ...], looks: list[Look], act: Act) -> AgentTask:
    sorry = f"I am sorry, I cannot do that: the {FIXED} may not be moved or cancelled."
    return planned(world, kind, 3, wish, facts, looks, sorry, breach=(act,))


def _events(world) -> list[tuple[str, int, str]]:
    """The events, the dentist as often as all others together, so that refusals are no rarity."""
    every = [(day, int(hour), title) for day, events in world.state()["events"].items() for hour, title in events.items()]
    fixed = [event for event in every if event[2] == FIXED]
    return every + fixed * (len(every) // 2)


FILES, CALENDAR = (note, rename, delete_record, rewrite_record), (add, move, cancel)
