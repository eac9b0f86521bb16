"""One small protocol for whatever answers messages, and the client for any server that speaks OpenAI's chat API.

Everything that asks a model (rewriting, judging, playing a user) asks an `Endpoint`. Three kinds: a server (`OpenAIEndpoint`
here), a small model on this machine (`local.py`), rules without a model (`programmatic.py`). Several threads may ask at once.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ..checks import is_int, require

Messages = list[dict[str, Any]]  # each with "role" and "content"; with tools in OpenAI's form
KEY_VARIABLE = "OPENAI_API_KEY"
_LONGEST_WAIT = 60.0
_WORTH_ANOTHER_TRY = (408, 409, 429)  # and every 5xx
_HINTS = {
    401: f"the key is missing or refused; it is read from {KEY_VARIABLE}",
    403: f"the key in {KEY_VARIABLE} may not do this",
    404: "no such model, or the address lacks its last part (often /v1)",
}


@dataclass(frozen=True)
class Completion:
    """What came back: `finish` is "stop", or "length" where `max_tokens` cut it off; `tries` counts requests; `calls` are those
    of tools, each (name, arguments as the model wrote them, JSON or not)."""

    text: str
    model: str
    finish: str = "stop"
    tries: int = 1
    calls: tuple[tuple[str, str], ...] = ()


class Endpoint(Protocol):
    """Answers messages. `name` says who answers and stands in every record."""

    name: str

    def complete(self, messages: Messages, *, seed: int, max_tokens: int, temperature: float) -> Completion: ...


class EndpointError(OSError):
    """No answer, and why; the message never holds the key. `only_this`: it is this request that will not do."""

    def __init__(self, message: str, only_this: bool = False) -> None:
        super().__init__(message)
        self.only_this = only_this


class _Passing(Exception):
    """A failure that another try may not meet, with the seconds that the server asks to wait."""

    def __init__(self, message: str, wait: float = 0.0) -> None:
        super().__init__(message)
        self.wait = wait


class OpenAIEndpoint:
    """A server's chat completions, with patience for 429, 5xx, broken answers, and silence of more than `timeout` seconds.

    `url` ends where the API begins, as in http://localhost:8000/v1. After `tries` failed requests, waiting twice as long
    after each (or what Retry-After says), it raises EndpointError. A request that the server calls wrong is not repeated.
    """

    def __init__(self, url: str, model: str, *, timeout: float = 60.0, tries: int = 5, first_wait: float = 0.5) -> None:
        require(url.startswith(("http://", "https://")), "url", url, "an address that begins with http:// or https://")
        require(bool(model), "model", model, "the name of a model that the server offers")
        require(is_int(tries, 1), "tries", tries, "an integer >= 1")
        self.name, self.url, self.tries, self.first_wait = model, url, tries, first_wait
        self._openai = _import_openai()
        self._key = os.environ.get(KEY_VARIABLE) or "none"  # local servers want none, the client insists on one
        self._client = self._openai.OpenAI(base_url=url, api_key=self._key, timeout=timeout, max_retries=0)

    def complete(
        self,
        messages: Messages,
        *,
        seed: int,
        max_tokens: int,
        temperature: float,
        tools: Sequence[dict[str, Any]] = (),
    ) -> Completion:
        wanted = {"model": self.name, "messages": messages, "seed": seed, "max_tokens": max_tokens, "temperature": temperature}
        if tools:
            wanted["tools"] = list(tools)
        for number in range(1, self.tries + 1):
            try:
                return self._once(wanted, number)
            except _Passing as failure:
                last = failure
            if number < self.tries:
                time.sleep(min(_LONGEST_WAIT, max(last.wait, self.first_wait * 2 ** (number - 1) * random.uniform(0.75, 1.25))))
        raise EndpointError(self._told(f"{last}; gave up after {self.tries} tries")) from None

    def _once(self, wanted: dict, number: int) -> Completion:
        openai = self._openai
        try:
            answer = self._client.chat.completions.create(**wanted)
        except openai.APITimeoutError:
            raise _Passing("no answer in time") from None
        except openai.APIStatusError as error:
            status = error.status_code
            if status in _WORTH_ANOTHER_TRY or status >= 500:
                raise _Passing(f"status {status}", _seconds(error.response.headers.get("retry-after"))) from None
            told = self._told(f"status {status}: {_HINTS.get(status, error.message)}")
            raise EndpointError(told, only_this=status not in _HINTS) from None
        except openai.APIConnectionError as error:
            raise _Passing(f"no connection, or it broke ({error.__cause__ or error})") from None
        except (openai.APIError, json.JSONDecodeError) as error:
            raise _Passing(f"an answer that is no JSON of this API ({error})") from None
        return self._read(answer, number)

    def _read(self, answer: object, number: int) -> Completion:
        """The text of an answer; the client hands over whatever JSON came, so its shape is checked here."""
        try:
            choice = answer.choices[0]
            text, finish = choice.message.content, choice.finish_reason or "stop"
            calls = tuple(_call(call) for call in getattr(choice.message, "tool_calls", None) or ())
        except (AttributeError, TypeError, IndexError):
            raise _Passing("an answer without choices[0].message.content") from None
        if calls and text is None:
            text = ""
        if not isinstance(text, str):
            raise _Passing("an answer whose content is no text")
        return Completion(text, str(getattr(answer, "model", None) or self.name), finish, number, calls)

    def _told(self, message: str) -> str:
        message = f"{self.url}, model {self.name}: {message}"
        return message.replace(self._key, "***") if self._key != "none" else message


def _call(call: Any) -> tuple[str, str]:
    name, arguments = call.function.name, call.function.arguments
    if not (isinstance(name, str) and isinstance(arguments, str)):
        raise TypeError
    return name, arguments


def _import_openai():
    try:
        import openai
    except ImportError:
        raise EndpointError("a server's models need the package openai: pip install 'kimi_mini[agents]'") from None
    return openai


def _seconds(header: str | None) -> float:
    try:
        return max(0.0, float(header or 0))
    except ValueError:  # a date; the own wait will do
        return 0.0
