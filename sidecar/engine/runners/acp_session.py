"""One session of the Agent Client Protocol, from the greeting to the last word."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

import acp
from acp.connection import StreamDirection, StreamEvent
from acp.schema import (
    AllowedOutcome,
    ClientCapabilities,
    DeniedOutcome,
    EnvVariable,
    FileSystemCapabilities,
    Implementation,
    McpServerStdio,
    NewSessionResponse,
    PermissionOption,
    PromptResponse,
    RequestPermissionResponse,
    ToolCallUpdate,
)
from pydantic import ValidationError

from sidecar import __version__
from sidecar.engine.runner import Event, Outcome, RunSpec
from sidecar.engine.runners.acp_updates import Updates
from sidecar.engine.runners.bounds import Bounds, Reached, Watch
from sidecar.engine.runners.child import TAIL_BYTES, Child
from sidecar.engine.runners.command import presented
from sidecar.engine.runners.permissions import decide, option
from sidecar.engine.runners.presets import SERVER, server_environment
from sidecar.engine.runners.record import Record

TICK_SECONDS = 0.1
# A tool's result may be a whole file.
LINE_BYTES = 50_000_000
AUTHENTICATION_REQUIRED = -32000
_REASONS = {
    "max_tokens": "The agent's turn ended at its limit of tokens.",
    "max_turn_requests": "The agent's turn ended at its limit of requests to the model.",
    "refusal": "The agent refused to work on it.",
    "cancelled": "The agent cancelled its turn by itself.",
}
T = TypeVar("T")


class _Ended(Exception):  # noqa: N818 - it is the way out of a talk, not an error
    """The talk is over, with this outcome."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.reason)
        self.outcome = outcome


class _Output(asyncio.StreamReaderProtocol):
    """The agent's output, which tells that it is alive and how much it says."""

    def __init__(self, reader: asyncio.StreamReader, watch: Watch) -> None:
        super().__init__(reader)
        self.bytes = 0
        self._watch = watch

    def data_received(self, data: bytes) -> None:
        """Note the data, then pass it on."""
        self.bytes += len(data)
        self._watch.heard()
        super().data_received(data)


class Session:
    """What is said to an agent for one attempt, and what it says; lives in one event loop."""

    def __init__(
        self, spec: RunSpec, child: Child, record: Record, watch: Watch, bounds: Bounds
    ) -> None:
        self.errors = bytearray()
        self._spec = spec
        self._child = child
        self._record = record
        self._watch = watch
        self._bounds = bounds
        self._updates = Updates(record)
        self._output: _Output | None = None

    async def hold(self) -> Outcome:
        """Talk until the agent has worked on the prompt, or has to end."""
        reader, writer = await self._streams()
        connection = acp.connect_to_agent(self, writer, reader, observers=[self._observe])  # type: ignore[arg-type]
        try:
            return await self._talk(connection)
        except _Ended as ended:
            return ended.outcome
        finally:
            self._updates.flush()
            if self._child.process.stderr:
                asyncio.get_running_loop().remove_reader(self._child.process.stderr)
            await connection.close()
            writer.close()

    async def _talk(self, connection: Any) -> Outcome:
        hello = connection.initialize(
            protocol_version=acp.PROTOCOL_VERSION,
            client_capabilities=ClientCapabilities(fs=FileSystemCapabilities(), terminal=False),
            client_info=Implementation(name="loop-orchestrator", version=__version__),
        )
        greeting = await self._answered(hello, "initialize")
        if greeting.protocol_version != acp.PROTOCOL_VERSION:
            told = f"The agent speaks version {greeting.protocol_version} of the protocol, not 1."
            return Outcome("failed", told)
        opening = connection.new_session(cwd=str(self._spec.root), mcp_servers=self._servers())
        session: NewSessionResponse = await self._answered(opening, "session/new")
        has_mode = await self._choose_mode(connection, session)
        text = presented(self._spec, has_modes=has_mode)
        return await self._prompt(connection, session.session_id, text)

    def _servers(self) -> list[Any]:
        if not self._spec.mcp:
            return []
        command, *args = self._spec.mcp
        told = server_environment(self._spec).items()
        variables = [EnvVariable(name=name, value=value) for name, value in told]
        return [McpServerStdio(name=SERVER, command=command, args=args, env=variables)]

    async def _choose_mode(self, connection: Any, session: NewSessionResponse) -> bool:
        """Put the session into the wanted mode; whether the agent has it."""
        wanted = self._spec.mode
        if not wanted:
            return False
        wanted = str(self._spec.options.get("modes", {}).get(wanted, wanted))
        offered: list[str] = []
        for config in session.config_options or ():
            if config.type == "select" and "mode" in (config.id, config.category):
                values = list(_values(config.options))
                offered += values
                if wanted in values:
                    change = connection.set_config_option(config.id, session.session_id, wanted)
                    return await self._is_set(change, wanted)
        modes = [mode.id for mode in session.modes.available_modes] if session.modes else []
        if wanted in modes:
            change = connection.set_session_mode(session_id=session.session_id, mode_id=wanted)
            return await self._is_set(change, wanted)
        offered = list(dict.fromkeys([*offered, *modes]))
        known = f"it has {', '.join(offered)}" if offered else "it has none"
        told = f"The agent has no mode `{wanted}` ({known}): the prompt tells the role instead."
        self._record(Event("warning", told, {"offered": offered}))
        return False

    async def _is_set(self, change: Coroutine[Any, Any, Any], wanted: str) -> bool:
        await self._answered(change, f"the change to mode `{wanted}`")
        self._record(Event("text", f"Mode `{wanted}` is set.", {"mode": wanted}))
        return True

    async def _prompt(self, connection: Any, session_id: str, text: str) -> Outcome:
        prompt = connection.prompt(session_id=session_id, prompt=[acp.text_block(text)])
        task = asyncio.ensure_future(prompt)
        while not await self._is_done(task):
            if reached := self._reached():
                await self._cancel(connection, session_id, task)
                return Outcome(reached.status, reached.reason, self._updates.last_text)
        self._updates.flush()
        return self._judged(self._result(task, "session/prompt"))

    async def _cancel(
        self, connection: Any, session_id: str, task: asyncio.Future[PromptResponse]
    ) -> None:
        """Ask for the end of the turn, and note whether the agent keeps to the protocol."""
        deadline = time.monotonic() + self._bounds.cancel
        try:
            await asyncio.wait_for(connection.cancel(session_id=session_id), self._bounds.cancel)
        except (TimeoutError, ConnectionError, OSError):
            deadline = 0.0
        while time.monotonic() < deadline and not await self._is_done(task):
            if self._child.has_exited:
                break
        if task.done() and not task.cancelled() and task.exception() is None:
            told = f"The agent answered the cancellation with {task.result().stop_reason}."
        else:
            task.cancel()
            told = "The agent did not answer the cancellation."
        self._record(Event("warning", told))

    def _judged(self, response: PromptResponse) -> Outcome:
        updates, usage = self._updates, response.usage
        told: dict[str, Any] = {
            "text": updates.last_text,
            "tokens": usage.total_tokens if usage else None,
            "cost": updates.cost,
            "facts": {"stop_reason": response.stop_reason, "denied": updates.denied},
        }
        if response.stop_reason != "end_turn":
            why = _REASONS.get(response.stop_reason, f"It stopped: {response.stop_reason}.")
            return Outcome("failed", why, **told)
        if not updates.has_work:
            # An agent whose model cannot be reached may well end its turn politely.
            return Outcome("failed", "The agent ended its turn without a word or a call.", **told)
        return Outcome("succeeded", "The agent ended its turn.", **told)

    async def _answered(self, request: Coroutine[Any, Any, T], what: str) -> T:
        """The answer to a request; raises _Ended where none comes in time, or a refusal."""
        task = asyncio.ensure_future(request)
        deadline = time.monotonic() + self._bounds.answer
        while not await self._is_done(task):
            reached = self._reached()
            if reached is None and time.monotonic() > deadline:
                told = f"The agent did not answer {what} within {self._bounds.answer:g} s."
                reached = Reached("failed", told)
            if reached:
                task.cancel()
                raise _Ended(Outcome(reached.status, reached.reason))
        return self._result(task, what)

    async def _is_done(self, task: asyncio.Future[Any]) -> bool:
        done, _ = await asyncio.wait({task}, timeout=TICK_SECONDS)
        return bool(done)

    def _result(self, task: asyncio.Future[T], what: str) -> T:
        try:
            return task.result()
        except acp.RequestError as error:
            told = f"The agent refused {what}: {error}."
            if error.code == AUTHENTICATION_REQUIRED:
                told = "The agent has nobody signed in: sign in with it once, or name its key."
        except (ConnectionError, OSError):
            told = f"The agent ended or went silent before it answered {what}."
        except ValidationError as error:
            told = f"The agent's answer to {what} is not of the protocol: {error.error_count()}"
        raise _Ended(Outcome("failed", told, self._updates.last_text))

    def _reached(self) -> Reached | None:
        if self._output and self._output.bytes > self._bounds.output_bytes:
            limit = self._bounds.output_bytes // 1_000_000
            return Reached("failed", f"The agent said more than {limit} MB.")
        return self._watch.reached()

    async def _streams(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        loop, process = asyncio.get_running_loop(), self._child.process
        reader = asyncio.StreamReader(limit=LINE_BYTES)
        self._output = _Output(reader, self._watch)
        output = self._output
        await loop.connect_read_pipe(lambda: output, process.stdout)
        protocol = asyncio.StreamReaderProtocol(asyncio.StreamReader())
        transport, _ = await loop.connect_write_pipe(lambda: protocol, process.stdin)
        if process.stderr:
            loop.add_reader(process.stderr, self._drain)
        return reader, asyncio.StreamWriter(transport, protocol, None, loop)

    def _drain(self) -> None:
        """Keep the end of what the agent complains of; a full pipe would stop it."""
        pipe = self._child.process.stderr
        if pipe is None:
            return
        data = pipe.read1(65_536)  # type: ignore[attr-defined]
        if not data:
            asyncio.get_running_loop().remove_reader(pipe)
        self.errors += data
        del self.errors[:-TAIL_BYTES]

    def _observe(self, event: StreamEvent) -> None:
        if event.direction is StreamDirection.INCOMING:
            self._updates.take(event.message)

    async def session_update(self, **_: Any) -> None:
        """Do nothing: the raw message has been read already, whatever its version knows."""

    async def request_permission(
        self,
        session_id: str,  # noqa: ARG002 - there is one session
        tool_call: ToolCallUpdate,
        options: list[PermissionOption],
        **_: Any,
    ) -> RequestPermissionResponse:
        """Answer by the policy, and write the answer down."""
        kind, names = self._updates.described(tool_call)
        decision = decide(self._spec.permissions, kind, names)
        chosen = option(options, allowed=decision.allowed)
        is_allowed = decision.allowed and chosen is not None
        word = "allowed" if is_allowed else "denied"
        told = f"{word.capitalize()}: {names[0] if names else kind} ({decision.reason})."
        data = {"permission": word, "kind": kind, "names": names}
        self._record(Event("text" if is_allowed else "warning", told, data))
        if not is_allowed:
            self._updates.denied += 1
        if chosen is None:
            return RequestPermissionResponse(outcome=DeniedOutcome(outcome="cancelled"))
        selected = AllowedOutcome(option_id=chosen, outcome="selected")
        return RequestPermissionResponse(outcome=selected)


def _values(options: Any) -> Iterator[str]:
    """The values of a choice, whether they are grouped or not."""
    for each in options:
        if hasattr(each, "group"):
            yield from (inner.value for inner in each.options)
        else:
            yield str(each.value)
