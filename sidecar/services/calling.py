"""How every face calls a tool: validated, measured, journaled, and refused while blocked."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.services import failures, refusal
from sidecar.services.context import Context
from sidecar.services.tool import Result, Tool

# It frees what is blocked, so it is never blocked itself.
_NEVER_BLOCKED = "error_recovery"
_STRUCTURED = frozenset({"dict_type", "list_type", "model_type", "model_attributes_type"})


def called(tool: Tool[Any, Any], context: Context, arguments: dict[str, Any]) -> Result:
    """The tool's answer; raises SidecarError, also for arguments that are not its own."""
    with context.meter.measured(tool.name, by_run=bool(context.client.run)):
        request = _validated(tool, arguments)
        if tool.read_only:
            return _answer(tool, context, request)
        return _changed(tool, context, request)


def _validated(tool: Tool[Any, Any], arguments: dict[str, Any]) -> Any:
    if _half_characters(arguments):
        message = "An argument holds half a character (a lone surrogate), which is no text."
        raise SidecarError(ErrorCode.INVALID, message)
    try:
        return tool.request.model_validate(arguments)
    except ValidationError as error:
        meant = _parsed(arguments, error)
        if meant == arguments:
            raise refusal.invalid(tool, error) from None
    try:
        return tool.request.model_validate(meant)
    except ValidationError as error:
        raise refusal.invalid(tool, error) from None


def _parsed(arguments: dict[str, Any], error: ValidationError) -> dict[str, Any]:
    """The arguments with objects and lists that some models send as JSON text taken as such."""
    meant = dict(arguments)
    for detail in error.errors():
        name, given = str(detail["loc"][0]), detail["input"]
        if detail["type"] in _STRUCTURED and isinstance(given, str) and len(detail["loc"]) == 1:
            with suppress(ValueError):
                meant[name] = from_json(given, allow_inf_nan=False)
    return meant


def _half_characters(value: Any) -> bool:
    """Whether a text in a value holds a lone surrogate, which no file can hold as UTF-8."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return True
        return False
    if isinstance(value, dict):
        return any(map(_half_characters, value)) or any(map(_half_characters, value.values()))
    return isinstance(value, list) and any(map(_half_characters, value))


def _changed(tool: Tool[Any, Any], context: Context, request: Any) -> Result:
    known = failures.of(context, tool.name)
    if known.blocked and tool.name != _NEVER_BLOCKED:
        raise failures.blocked_error(tool.name, known)
    text = json.dumps(request.model_dump(mode="json"), sort_keys=True)
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    client = context.client
    with context.workspace.journal.origin(
        tool=tool.name, client=client.name, arguments_hash=digest, run=client.run
    ):
        result = _answer(tool, context, request)
    if known.count and not getattr(request, "dry_run", False):
        failures.forget(context, tool.name)
    return result


def _answer(tool: Tool[Any, Any], context: Context, request: Any) -> Result:
    result: Result = tool(context, request)
    return result
