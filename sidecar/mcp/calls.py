"""From a tool's outcome to the two forms of a tool result: short text and structured values."""

from __future__ import annotations

import logging
import secrets
from typing import Any

import pydantic_core
from mcp_types import CallToolResult, TextContent

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.services import refusal
from sidecar.services.tool import Result

log = logging.getLogger(__name__)

# No model reads as much; beyond it a client only runs out of memory.
MAX_RESULT_BYTES = 16 * 1024 * 1024


def answered(result: Result) -> CallToolResult:
    """A result in both forms, each complete on its own; raises SidecarError E_TOO_LARGE."""
    structured, text = result.structured(), result.summary()
    try:
        size = len(pydantic_core.to_json((structured, text)))
    except pydantic_core.PydanticSerializationError:
        structured, text = _sendable(structured), _sendable(text)
        size = len(pydantic_core.to_json((structured, text)))
    if size > MAX_RESULT_BYTES:
        raise SidecarError(
            ErrorCode.TOO_LARGE,
            f"The result has {size} bytes; a result may have {MAX_RESULT_BYTES}.",
            hint="Ask for less: fewer entries, a range of lines. What was to change, is changed.",
        )
    return CallToolResult(
        content=[TextContent(type="text", text=text)], structured_content=structured
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


def refused(error: SidecarError) -> CallToolResult:
    """A refusal that the model can act upon, in both forms."""
    text = _sendable(f"{error.code.value}: {error}")
    return CallToolResult(
        content=[TextContent(type="text", text=text)],
        structured_content=_sendable(refusal.structured(error)),
        is_error=True,
    )


def failed(name: str, error: Exception) -> CallToolResult:
    """An unexpected failure: the log gets everything, the client a reference to it."""
    reference = secrets.token_hex(4)
    log.error("%s failed unexpectedly, reference %s", name, reference, exc_info=error)
    return refused(
        SidecarError(
            ErrorCode.IO,
            f"`{name}` failed unexpectedly (reference {reference}).",
            hint="The sidecar's log tells what happened under that reference.",
        )
    )
