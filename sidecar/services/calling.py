"""How every face calls a tool: validated, measured, journaled, and refused while blocked."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from pydantic import ValidationError

from sidecar.services import failures, refusal
from sidecar.services.context import Context
from sidecar.services.tool import Result, Tool

# It frees what is blocked, so it is never blocked itself.
_NEVER_BLOCKED = "error_recovery"


def called(tool: Tool[Any, Any], context: Context, arguments: dict[str, Any]) -> Result:
    """The tool's answer; raises SidecarError, also for arguments that are not its own."""
    with context.meter.measured(tool.name):
        try:
            request = tool.request.model_validate(arguments)
        except ValidationError as error:
            raise refusal.invalid(tool, error) from None
        if tool.read_only:
            return _answer(tool, context, request)
        return _changed(tool, context, request)


def _changed(tool: Tool[Any, Any], context: Context, request: Any) -> Result:
    known = failures.of(context, tool.name)
    if known.blocked and tool.name != _NEVER_BLOCKED:
        raise failures.blocked_error(tool.name, known)
    text = json.dumps(request.model_dump(mode="json"), sort_keys=True)
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    with context.workspace.journal.origin(
        tool=tool.name, client=context.client.name, arguments_hash=digest
    ):
        result = _answer(tool, context, request)
    if known.count:
        failures.forget(context, tool.name)
    return result


def _answer(tool: Tool[Any, Any], context: Context, request: Any) -> Result:
    result: Result = tool(context, request)
    return result
