"""Who answers: a model on this machine, or one behind an endpoint. Either may write anything; what it writes is marked."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, Protocol

from ..chat import compact, parse_text
from ..chat.template import END
from ..corpus import load_tokenizer
from ..model import KimiMini
from ..rl import Problem, Rollout, Score, Task
from ..rl.answers import draw_marked
from ..rl.tasks.dialogues import MOST_CALLS, ToolTask, answer_calls
from ..rl.tasks.marking import readable
from ..synth import Endpoint
from ..tokenizer import Tokenizer

_KEPT = 2000  # characters of an answer that the log keeps


class Attempt(NamedTuple):
    """One answer, marked: `text` is its beginning, all in characters that a file can hold; `tokens` are the model's own."""

    text: str
    reward: float
    parts: dict[str, float]
    tokens: int
    truncated: bool


class Subject(Protocol):
    """Answers problems of a task, each `samples` times; the same seed asks for the same answers.

    `name` says who answers, and must differ where the answers would; `together` is how many problems it likes at once.
    """

    name: str
    together: int

    def attempts(
        self, task: Task, problems: Sequence[Problem], samples: int, *, temperature: float, seed: int
    ) -> list[list[Attempt]]: ...


class LocalSubject:
    """A model of this package with its tokenizer. A dialogue's calls are read from reserved tokens alone."""

    together = 8

    def __init__(self, model: KimiMini, tokenizer: Tokenizer, name: str) -> None:
        self.model, self.tokenizer, self.name = model, tokenizer, name

    def attempts(
        self, task: Task, problems: Sequence[Problem], samples: int, *, temperature: float, seed: int
    ) -> list[list[Attempt]]:
        drawn = draw_marked(self.model, self.tokenizer, task, problems, samples, temperature=temperature, seed=seed)
        return [list(map(self._attempt, *groups)) for groups in zip(*drawn, strict=True)]

    def _attempt(self, rollout: Rollout, score: Score) -> Attempt:
        return _attempt(self.tokenizer.decode(rollout.tokens), score, sum(rollout.mask), not rollout.finished)


def fingerprint(model: KimiMini) -> str:
    """Eight hexadecimal digits that change with any weight."""
    digest = hashlib.sha256()
    for name, weight in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(weight.detach().float().cpu().numpy().tobytes())
    return digest.hexdigest()[:8]


class RemoteSubject:
    """A model behind an endpoint, `workers` requests at a time. It is told of tools in words, and calls them in K2's markers.

    `tokens` are counted with the book's tokenizer, whatever the model's own is. Raises EndpointError as the endpoint does.
    """

    def __init__(self, endpoint: Endpoint, workers: int = 4) -> None:
        self.endpoint, self.name, self.workers, self.together = endpoint, endpoint.name, workers, workers
        self._tokenizer = load_tokenizer()

    def attempts(
        self, task: Task, problems: Sequence[Problem], samples: int, *, temperature: float, seed: int
    ) -> list[list[Attempt]]:
        def one(place: int) -> Attempt:
            problem = problems[place // samples]
            ask = self._dialogue if isinstance(task, ToolTask) else self._answer
            return ask(task, problem, temperature, seed * samples + place)

        with ThreadPoolExecutor(self.workers) as pool:
            made = list(pool.map(one, range(len(problems) * samples)))
        return [made[at : at + samples] for at in range(0, len(made), samples)]

    def _ask(self, messages: list[dict[str, str]], problem: Problem, temperature: float, seed: int):
        return self.endpoint.complete(messages, seed=seed, max_tokens=problem.budget, temperature=temperature)

    def _answer(self, task: Task, problem: Problem, temperature: float, seed: int) -> Attempt:
        said = self._ask(list(problem.messages), problem, temperature, seed)
        return _attempt(said.text, task.score(problem, said.text), self._count(said.text), said.finish == "length")

    def _dialogue(self, task: ToolTask, problem: Problem, temperature: float, seed: int) -> Attempt:
        system, user = problem.messages
        messages = [{"role": "system", "content": f"{system['content']}\n\n{_told(problem)}"}, dict(user)]
        world, texts, made, reply, truncated = task.world(problem), [], 0, "", True
        for _ in range(task.turns):
            said = self._ask(messages, problem, temperature, seed)
            texts.append(said.text)
            if said.finish == "length" or not readable(said.text):
                break
            parsed = parse_text(said.text)
            if not (parsed.calls or parsed.malformed):
                reply, truncated = parsed.content, False
                break
            replies = answer_calls(world, parsed, MOST_CALLS - made)
            made += len(parsed.calls)
            told = "\n".join(f"## Return of {one['tool_call_id']}\n{one['content']}" for one in replies)
            messages += [{"role": "assistant", "content": said.text}, {"role": "user", "content": told}]
        tokens = sum(map(self._count, texts))
        return _attempt(END.join(texts), task.judge(problem, world, reply), tokens, truncated)

    def _count(self, text: str) -> int:
        return len(self._tokenizer.encode(_whole(text)))


def _told(problem: Problem) -> str:
    """Tools and the form of a call, for a model whose server may know of neither."""
    form = "<|tool_calls_section_begin|><|tool_call_begin|>functions.NAME:0<|tool_call_argument_begin|>{ARGUMENTS}"
    return (
        f"Tools:\n{compact(problem.tools)}\n\nTo call one, write {form}<|tool_call_end|><|tool_calls_section_end|> with its "
        "name and a JSON object of arguments, and wait for the result. Reply without a call when you are done."
    )


def _attempt(text: str, score: Score, tokens: int, truncated: bool) -> Attempt:
    return Attempt(_whole(text[:_KEPT]), score.reward, score.parts, tokens, truncated)


def _whole(text: str) -> str:
    """Half a character pair becomes a question mark, so that any file can hold it."""
    return text.encode(errors="replace").decode()
