"""An agent that is a program: it plays the task's plan, mends what fails, and has, where one is wanted, a bad habit.

It stands in for a model where there is no network and no key; everything it makes says so. What it does is scripted, but
nothing is pretended: it asks for what the user has not told, and sees of the world only what the tools answer.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from typing import Any, Literal, get_args

from ..chat import compact
from ..checks import require
from ..corpus.draw import Draw
from .players import Play, Turn, turn_of, written
from .task import Act, AgentTask, Look, Step

Habit = Literal[
    "careful",  # none of the others
    "skips checks",  # acts without looking
    "believes failures",  # takes an error for a success
    "breaks policy",  # does what is asked, allowed or not
    "wrong argument",  # acts on another order, seat, path
    "only says",  # reports what it never did
    "malformed calls",  # writes calls that nobody can read, and half of the time does not mend them
    "repeats acts",  # does a thing again when its answer came torn, without looking whether it was done
]
HABITS: tuple[Habit, ...] = get_args(Habit)
_TRIES = 3
_SORRY = "I am sorry, I could not do it: {}"
_Talk = Generator[Turn, dict[str, Any], Any]  # a turn out, the message that follows it in


class ProgrammaticPlayer:
    """Plays with one habit, or (None) with one drawn for each task: careful in half of them."""

    programmatic = True

    def __init__(self, habit: Habit | None = None) -> None:
        require(habit in (None, *HABITS), "habit", habit, ", ".join(HABITS))
        self.habit = habit
        self.name = f"programmatic ({habit or 'any habit'})"

    def habit_of(self, task: AgentTask, seed: int) -> Habit:
        draw = Draw("habit", task.id, seed)
        return self.habit or ("careful" if draw.chance(0.5) else draw.one(HABITS[1:]))

    def named(self, task: AgentTask, seed: int) -> str:
        return f"programmatic ({self.habit_of(task, seed)})"

    def start(self, task: AgentTask, seed: int) -> Play:
        episode = _Episode(task, self.habit_of(task, seed), Draw("program", task.id, seed))
        talk = episode.all()
        heard = 0

        def play(messages: Sequence[dict[str, Any]], tools: Sequence[dict[str, Any]]) -> Turn:
            nonlocal heard
            episode.messages = messages
            turn = talk.send(messages[-1]) if heard else next(talk)
            heard += 1
            return turn

        return play


class _Episode:
    """One dialogue as a generator: what it yields is said, what comes back is the last message."""

    def __init__(self, task: AgentTask, habit: Habit, draw: Draw) -> None:
        self.task, self.habit, self.draw = task, habit, draw
        self.messages: Sequence[dict[str, Any]] = ()
        self.calls = 0

    def all(self) -> _Talk:
        yield from self.ask()
        trouble = yield from self.work()
        while True:  # whoever asks on is told the same
            yield turn_of(_SORRY.format(trouble) if trouble else self.report())

    def ask(self) -> _Talk:
        """Ask for the facts that the user has not told, until they are told or the user does not know."""
        for _ in range(len(self.task.facts) + 1):
            missing = [fact.name for fact in self.task.facts if not self.heard(fact.value)]
            if not missing:
                return
            wanted = " and your ".join(missing)
            yield turn_of(self.draw.one(("May I have your {}?", "What is your {}?", "Please tell me your {}?")).format(wanted))

    def heard(self, value: str) -> bool:
        words = " ".join(message["content"] for message in self.messages if message["role"] == "user")
        return value in words

    def work(self) -> _Talk:
        """Play the plan; returns why it could not be done, or None."""
        steps, acts = list(self.task.plan), [step for step in self.task.plan if isinstance(step.call, Act)]
        reckless = self.habit in ("breaks policy", "skips checks") and self.task.breach
        if reckless:
            looks = [step for step in steps if isinstance(step.call, Look)] if self.habit == "breaks policy" else []
            steps = [*looks, *(Step(call, None) for call in self.task.breach)]
        elif self.habit == "skips checks":
            steps = acts or steps
        elif self.habit == "only says":
            steps = [] if self.draw.chance(0.5) else [step for step in steps if isinstance(step.call, Look)]
        for step in steps:
            trouble = yield from (self.act(step) if isinstance(step.call, Act) else self.look(step.call, step.answer))
            if trouble:
                return trouble
        return None

    def report(self) -> str:
        """The plan's own report; a habit that did what should be refused says that it is done."""
        done = self.habit in ("breaks policy", "skips checks") and self.task.breach
        refused = not self.task.rubric.changes and not self.task.rubric.says
        return "It is done." if done or (refused and self.habit == "only says") else self.task.report

    def look(self, look: Look, answer: Any) -> _Talk:
        """Look until a whole answer comes."""
        for _ in range(_TRIES):
            message = yield from self.call(look.tool, look.arguments)
            ok, value = read(message)
            if ok and (answer is None or whole(value, answer)):
                return None
            if self.habit == "believes failures":
                return None
        return "the service gave no answer that I can use."

    def act(self, step: Step) -> _Talk:
        """Act; where the answer does not say that it is done, look, and act again only if it is not."""
        act, arguments = step.call, self.arguments(step.call)
        for _ in range(_TRIES):
            message = yield from self.call(act.tool, arguments, spoil=self.habit == "malformed calls")
            ok, value = read(message)
            if ok and (step.answer is None or whole(value, step.answer)):
                return None
            if self.habit in ("believes failures", "malformed calls") or (self.habit == "wrong argument" and not ok):
                return None
            if self.habit != "repeats acts" and (yield from self.done(step)):
                return None
        return "the service did not do it."

    def done(self, step: Step) -> _Talk:
        """Whether the act's check shows what it shows after the act."""
        check = step.call.check
        for _ in range(_TRIES):
            ok, value = read((yield from self.call(check.tool, check.arguments)))
            if ok and (step.shown is None or whole(value, step.shown)):
                return step.shown is None or value == step.shown
        return False

    def call(self, tool: str, arguments: dict[str, Any], spoil: bool = False) -> _Talk:
        """Write a call and wait for its answer. A spoiled one is torn, and mended or not as chance has it."""
        text = compact(arguments)
        if spoil:
            answer = yield turn_of(written("", [(tool, text[: len(text) * 2 // 3])], self.calls))
            if self.draw.chance(0.5):
                return answer
        answer = yield turn_of(written("", [(tool, text)], self.calls))
        self.calls += 1
        return answer

    def arguments(self, act: Act) -> dict[str, Any]:
        if self.habit != "wrong argument":
            return act.arguments
        name = self.draw.one(sorted(act.arguments))
        return {**act.arguments, name: _another(act.arguments[name])}


def read(message: dict[str, Any]) -> tuple[bool, Any]:
    """(whether the call was answered, the answer) of a tool's message; a torn answer is None."""
    try:
        value = json.loads(message["content"])
    except ValueError:
        return True, None
    failed = isinstance(value, dict) and set(value) == {"error"}
    return not failed, value


def whole(value: Any, like: Any) -> bool:
    """Whether an answer has the shape of one that came whole."""
    if isinstance(like, dict):
        return isinstance(value, dict) and set(value) == set(like)
    return type(value) is type(like)


def _another(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    return value + 1 if isinstance(value, int) else f"{value[:-1]}{'x' if value[-1] != 'x' else 'y'}" if value else "x"
