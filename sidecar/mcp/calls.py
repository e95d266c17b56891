"""From a tool's outcome to the two forms of a tool result: short text and structured values."""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass
from typing import Any

import pydantic_core
from mcp_types import CallToolResult, TextContent

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.services import refusal
from sidecar.services.tool import Result

log = logging.getLogger(__name__)

# No model reads as much; beyond it a client only runs out of memory.
MAX_RESULT_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """A tool's outcome in both forms, each complete on its own."""

    text: str
    structured: dict[str, Any]
    is_error: bool = False

    def result(self) -> CallToolResult:
        """The answer as the SDK takes it; one that is too long becomes a refusal."""
        sendable = self._sendable()
        size = len(pydantic_core.to_json((sendable.structured, sendable.text)))
        if size > MAX_RESULT_BYTES:
            return refusing(_too_large(size)).result()
        return CallToolResult(
            content=[TextContent(type="text", text=sendable.text)],
            structured_content=sendable.structured,
            is_error=sendable.is_error,
        )

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


def answered(result: Result) -> CallToolResult:
    """A tool's result as the SDK takes it."""
    return answering(result).result()


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
