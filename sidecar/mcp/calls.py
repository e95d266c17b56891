"""From a tool's outcome to the two forms of a tool result: short text and structured values."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pydantic_core

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.services import refusal, registry
from sidecar.services.calling import called
from sidecar.services.context import Client, Context, Progress, unheard
from sidecar.services.tool import Result, Tool

log = logging.getLogger(__name__)

# No model reads as much; beyond it a client only runs out of memory.
MAX_RESULT_BYTES = 16 * 1024 * 1024
# Cline gives a call 60 s; an answer that comes later reaches nobody.
DEADLINE_SECONDS = 55.0
MAX_WAIT_SECONDS = 600.0

MakeContext = Callable[[Client, Progress], Context]


@dataclass(frozen=True, slots=True)
class Answer:
    """A tool's outcome in both forms, each complete on its own."""

    text: str
    structured: dict[str, Any]
    is_error: bool = False

    def fitting(self) -> Answer:
        """The answer as it can be written; one that is too long becomes a refusal."""
        sendable = self._sendable()
        size = len(pydantic_core.to_json((sendable.structured, sendable.text)))
        return refusing(_too_large(size)) if size > MAX_RESULT_BYTES else sendable

    def message(self, number: str | int) -> bytes:
        """The answer to the request of this id as one JSON-RPC message, as the SDK writes it."""
        try:
            told = _message(self, number)
        except pydantic_core.PydanticSerializationError:
            told = _message(self._sendable(), number)
        if len(told) > MAX_RESULT_BYTES:
            return _message(refusing(_too_large(len(told))), number)
        return told

    def _sendable(self) -> Answer:
        try:
            pydantic_core.to_json((self.structured, self.text))
        except pydantic_core.PydanticSerializationError:
            return Answer(_sendable(self.text), _sendable(self.structured), self.is_error)
        return self


def _message(answer: Answer, number: str | int) -> bytes:
    result = {
        "content": [{"text": answer.text, "type": "text"}],
        "isError": answer.is_error,
        "structuredContent": answer.structured,
    }
    return pydantic_core.to_json({"jsonrpc": "2.0", "id": number, "result": result})


def answering(result: Result) -> Answer:
    """A tool's result in both forms."""
    return Answer(result.summary(), result.structured())


def refusing(error: SidecarError) -> Answer:
    """A refusal that the model can act upon, in both forms."""
    text = _sendable(f"{error.code.value}: {error}")
    return Answer(text, _sendable(refusal.structured(error)), is_error=True)


def failing(name: str, error: Exception) -> Answer:
    """An unexpected failure: the log gets everything, the client a reference to it."""
    reference = secrets.token_hex(4)
    log.error("%s failed unexpectedly, reference %s", name, reference, exc_info=error)
    return refusing(
        SidecarError(
            ErrorCode.IO,
            f"`{name}` failed unexpectedly (reference {reference}).",
            hint="The sidecar's log tells what happened under that reference.",
        )
    )


def _too_large(size: int) -> SidecarError:
    return SidecarError(
        ErrorCode.TOO_LARGE,
        f"The result has {size} bytes; a result may have {MAX_RESULT_BYTES}.",
        hint="Ask for less: fewer entries, a range of lines. What was to change, is changed.",
    )


def _sendable(value: Any) -> Any:
    """The value without half characters, as in names of files that are not UTF-8."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [_sendable(each) for each in value]
    if isinstance(value, dict):
        return {_sendable(key): _sendable(each) for key, each in value.items()}
    return value


class ToolCalls:
    """Calls of tools, each with its own view of the workspace; knows nothing of the SDK.

    A call is given ``deadline`` seconds, or as long as it asks to wait.
    """

    def __init__(
        self,
        make_context: MakeContext,
        tools: Mapping[str, Tool[Any, Any]] = registry.TOOLS,
        deadline: float = DEADLINE_SECONDS,
    ) -> None:
        self._make_context = make_context
        self._tools = tools
        self._patience = deadline
        # One process on stdio is one session; HTTP names its own.
        self.session = secrets.token_hex(4)

    def answer(self, name: str, arguments: dict[str, Any], client: str) -> Answer:
        """What a tool says to a client on a stream that asks for no progress."""
        try:
            tool = registry.resolve(name, self._tools)
        except SidecarError as error:
            return refusing(error)
        context = self._make_context(Client(name=client, session=self.session), unheard)
        return outcome(tool, context, arguments)

    def is_quick(self, name: str) -> bool:
        """Whether a tool only reads, which takes less than a millisecond for most."""
        tool = self._tools.get(name)
        return tool is None or tool.read_only

    def patience(self, arguments: dict[str, Any]) -> float:
        """Seconds for a call; one that asks to wait longer gets that and a little more."""
        asked = arguments.get("wait_seconds", 0)
        waits = asked if isinstance(asked, int | float) else 0
        return max(self._patience, min(waits, MAX_WAIT_SECONDS) + 10 if waits else 0)

    def too_late(self, name: str, arguments: dict[str, Any]) -> Answer:
        """The refusal of a call that has taken longer."""
        return refusing(_too_late(registry.resolve(name, self._tools), self.patience(arguments)))


def outcome(tool: Tool[Any, Any], context: Context, arguments: dict[str, Any]) -> Answer:
    """Run a tool; whatever happens becomes an answer."""
    try:
        return answering(called(tool, context, arguments))
    except SidecarError as error:
        return refusing(error)
    except Exception as error:  # noqa: BLE001 - the edge: one call's failure ends that call alone
        return failing(tool.name, error)


def _too_late(tool: Tool[Any, Any], deadline: float) -> SidecarError:
    if tool.read_only:
        hint = "Ask for less, or ask again."
    else:
        hint = "The change may still be made; read the state before asking again."
    return SidecarError(
        ErrorCode.TIMEOUT,
        f"`{tool.name}` was not done after {deadline:.0f} s.",
        hint=hint,
    )
