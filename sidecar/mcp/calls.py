"""From a tool's outcome to the two forms of a tool result: short text and structured values."""

from __future__ import annotations

import logging
import secrets

from mcp_types import CallToolResult, TextContent

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.services import refusal
from sidecar.services.tool import Result

log = logging.getLogger(__name__)


def answered(result: Result) -> CallToolResult:
    """A result in both forms, each complete on its own."""
    return CallToolResult(
        content=[TextContent(type="text", text=result.summary())],
        structured_content=result.structured(),
    )


def refused(error: SidecarError) -> CallToolResult:
    """A refusal that the model can act upon, in both forms."""
    return CallToolResult(
        content=[TextContent(type="text", text=f"{error.code.value}: {error}")],
        structured_content=refusal.structured(error),
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
