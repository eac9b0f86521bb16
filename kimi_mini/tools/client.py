"""A client of MCP servers over stdio, with time-outs and restarts, for code that is not asynchronous."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import threading
from collections.abc import Coroutine, Sequence
from typing import Any

from ..checks import is_int, is_number, require
from .world import Result, Tool

_CLOSING = 5.0  # seconds that a server gets to end by itself


class ToolServerError(OSError):
    """The server did not answer, and restarting it did not help."""


class _NoAnswer(Exception):
    pass


class ToolClient:
    """One server process, started by `command`, as a context manager. `tools` is what it offers; `call` calls one.

    An answer that takes longer than `timeout` seconds, a start that takes longer than `starting`, or a server that is gone,
    costs a restart, of which there are at most `restarts` in all; then ToolServerError. `replay` says that a new process
    begins a new episode (`world` sets it): the calls that changed something are then repeated in it, and the call that was
    lost is made again, so no change is lost and none is made twice. Without it a lost call is repeated only if the tool is
    marked as read-only. The process ends with the `with`. Needs the package mcp.
    """

    def __init__(
        self, command: Sequence[str], *, timeout: float = 10.0, starting: float = 60.0, restarts: int = 3, replay: bool = False
    ) -> None:
        for name, limit in (("timeout", timeout), ("starting", starting)):
            require(is_number(limit) and 0 < limit < float("inf"), name, limit, "a finite number of seconds above 0")
        require(is_int(restarts, 0), "restarts", restarts, "an integer >= 0")
        require(len(command) > 0, "command", command, "a program and its arguments")
        self.command, self.restarts_left, self.replay = list(command), restarts, replay
        self.timeout, self.starting = timeout, starting
        self.tools: tuple[Tool, ...] = ()
        self.instructions = ""
        self._done: list[tuple[str, dict[str, Any]]] = []  # calls that changed something

    @classmethod
    def world(cls, name: str, seed: int, *, timeout: float = 10.0, restarts: int = 3) -> ToolClient:
        """A world of this package in a process of its own."""
        command = (sys.executable, "-m", "kimi_mini", "tools", "serve", name, "--seed", str(seed))
        return cls(command, timeout=timeout, restarts=restarts, replay=True)

    def __enter__(self) -> ToolClient:
        self._loop = asyncio.new_event_loop()
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # a notebook's stderr is no file
        self._thread = threading.Thread(target=self._loop.run_forever, name="tool client", daemon=True)
        self._thread.start()
        try:
            self._connect_again(first=True)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._wait(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._errors.close()

    def tool(self, name: str) -> Tool | None:
        return next((tool for tool in self.tools if tool.name == name), None)

    def call(self, name: str, arguments: dict[str, Any]) -> Result:
        """The server's answer: JSON where it is JSON, else its text. Raises ToolServerError."""
        known = self.tool(name)
        reads = known is not None and known.reads
        while True:
            try:
                result = self._wait(self._call(name, arguments))
            except _NoAnswer as failure:
                self._connect_again(str(failure))
                if not (self.replay or reads):
                    raise ToolServerError(
                        f"{self._said()} {failure} during {name}; whether it was done is not known, so it is not repeated"
                    ) from None
                continue
            if result.ok and not reads:
                self._done.append((name, arguments))
            return result

    # ---- processes -----------------------------------------------------------------------------------------------------

    def _connect_again(self, why: str = "did not start", first: bool = False) -> None:
        """End the process, start another, and bring it to where the last one was."""
        while first or self.restarts_left > 0:
            self.restarts_left -= not first
            first = False
            self._wait(self._close())
            try:
                self._wait(self._open())
                for name, arguments in self._done if self.replay else ():
                    self._wait(self._call(name, arguments))
                return
            except _NoAnswer as failure:
                why = str(failure)
        self._errors.seek(0)
        last = self._errors.read().strip().rpartition("\n")[2]
        raise ToolServerError(f"{self._said()} {why}; no restarts are left. The last that it said: {last[-200:]!r}")

    def _said(self) -> str:
        return f"the tool server {' '.join(self.command)[:200]!r}"

    def _wait(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _open(self) -> None:
        """Start a process and read its list of tools."""
        self._stop = asyncio.Event()
        ready: asyncio.Future = self._loop.create_future()
        self._holder = self._loop.create_task(self._hold(ready, self._stop))
        self._client = await self._answer(ready, self.starting)
        listed = await self._answer(self._client.list_tools(), self.starting)
        self.tools = tuple(
            Tool(one.name, one.description or "", one.input_schema, bool(one.annotations and one.annotations.read_only_hint))
            for one in listed.tools
        )
        self.instructions = self._client.instructions or ""

    async def _hold(self, ready: asyncio.Future, stop: asyncio.Event) -> None:
        """The task in which the connection is opened and closed: anyio wants both in the same one."""
        from mcp.client import Client
        from mcp.client.stdio import StdioServerParameters, stdio_client

        try:
            server = StdioServerParameters(command=self.command[0], args=self.command[1:])
            async with Client(stdio_client(server, self._errors), mode="legacy") as client:  # no probe: a plain handshake
                ready.set_result(client)
                await stop.wait()
        except Exception as error:  # whatever the transport raises: to the caller it is one thing
            if not ready.done():
                ready.set_exception(_NoAnswer(f"could not be started ({_innermost(error)})"))

    async def _close(self) -> None:
        holder = getattr(self, "_holder", None)
        if holder is None or holder.done():
            return
        self._stop.set()
        done, _ = await asyncio.wait({holder}, timeout=_CLOSING)
        if not done:
            holder.cancel()
            await asyncio.wait({holder}, timeout=_CLOSING)

    async def _call(self, name: str, arguments: dict[str, Any]) -> Result:
        answer = await self._answer(self._client.call_tool(name, arguments), self.timeout)
        text = "\n".join(part.text for part in answer.content if part.type == "text")
        if answer.is_error:
            return Result(False, text)
        try:
            return Result(True, json.loads(text))
        except ValueError:
            return Result(True, text)

    async def _answer(self, work: Any, limit: float) -> Any:
        from mcp import MCPError

        try:
            return await asyncio.wait_for(work, limit)
        except TimeoutError:
            raise _NoAnswer(f"gave no answer within {limit:g} s") from None
        except _NoAnswer:
            raise
        except MCPError as error:
            if "closed" in str(error).lower():
                raise _NoAnswer("is gone") from None
            raise ValueError(f"{self._said()} refused: {error}") from None
        except Exception as error:  # streams that are closed, broken pipes
            raise _NoAnswer(f"is gone ({type(error).__name__})") from None


def _innermost(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"
