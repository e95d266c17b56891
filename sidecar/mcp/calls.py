"""From a tool's outcome to the two forms of a tool result: short text and structured values."""

from __future__ import annotations

import logging
import secrets
from typing import Any

from mcp_types import CallToolResult, TextContent
from pydantic import ValidationError

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.services.nearest import did_you_mean
from sidecar.services.tool import Result, Tool

log = logging.getLogger(__name__)


def answered(result: Result) -> CallToolResult:
    """A result in both forms, each complete on its own."""
    return CallToolResult(
        content=[TextContent(type="text", text=result.summary())],
        structured_content=result.structured(),
    )


def refused(error: SidecarError) -> CallToolResult:
    """A refusal that the model can act upon, in both forms."""
    structured = {"success": False, "error": error.message, "error_code": error.code.value}
    if error.hint:
        structured["hint"] = error.hint
    return CallToolResult(
        content=[TextContent(type="text", text=f"{error.code.value}: {error}")],
        structured_content=structured,
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


def invalid(tool: Tool[Any, Any], error: ValidationError) -> SidecarError:
    """The sentences that say which arguments are wrong, and what would be right."""
    names = tool.request.model_fields
    sentences = [_sentence(detail, tool.name, list(names)) for detail in error.errors()]
    return SidecarError(
        ErrorCode.INVALID,
        " ".join(dict.fromkeys(sentences)),
        hint=f"`{tool.name}` takes: {', '.join(names) or 'no arguments'}.",
    )


def _sentence(detail: Any, tool: str, names: list[str]) -> str:
    place = [str(part) for part in detail["loc"]]
    where = ".".join(place) or "arguments"
    if detail["type"] == "extra_forbidden":
        guess = did_you_mean(where, names) if len(place) == 1 else ""
        return f"`{where}` is not a parameter of `{tool}`. {guess}".strip()
    if detail["type"] == "missing":
        return f"`{where}` is required."
    told = str(detail["msg"]).removeprefix("Value error, ").rstrip(".")
    given = detail.get("input")
    shown = f", not {given!r:.60}" if isinstance(given, str | int | float | bool) else ""
    return f"`{where}`: {told[:1].lower()}{told[1:]}{shown}."
