"""One line of JSON-RPC: a message for the SDK, or the answer to what is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pydantic_core
from mcp_types import (
    INVALID_REQUEST,
    PARSE_ERROR,
    ErrorData,
    JSONRPCError,
    JSONRPCMessage,
    jsonrpc_message_adapter,
)
from pydantic import ValidationError

MAX_LINE_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True)
class Refused:
    """A line that is no message, and what its sender is told."""

    answer: JSONRPCError


def decode(line: bytes) -> JSONRPCMessage | Refused:
    """The message of a line, or its refusal, with id null where no id can be read."""
    try:
        value = pydantic_core.from_json(line, allow_inf_nan=False)
    except ValueError as error:
        return _refusal(PARSE_ERROR, f"This line is not JSON: {error}.", None)
    if isinstance(value, list):
        return _refusal(INVALID_REQUEST, "Batches are not served; send one message a line.", None)
    if not isinstance(value, dict):
        return _refusal(INVALID_REQUEST, "A message is a JSON object.", None)
    if "method" in value and "id" in value and not _is_id(value["id"]):
        return _refusal(INVALID_REQUEST, "The id of a request is a string or an integer.", None)
    try:
        return jsonrpc_message_adapter.validate_python(value, by_name=False)
    except ValidationError:
        known = value.get("id") if _is_id(value.get("id")) else None
        told = "This is no JSON-RPC 2.0 message: `jsonrpc`, `method` or `params` is wrong."
        return _refusal(INVALID_REQUEST, told, known)


def too_long() -> Refused:
    """The answer to a line over the limit."""
    return _refusal(INVALID_REQUEST, f"A line may have {MAX_LINE_BYTES} bytes.", None)


def duplicate(request_id: str | int) -> Refused:
    """The answer to a request whose id is still in use."""
    return _refusal(INVALID_REQUEST, "A request with this id is still being answered.", request_id)


def _refusal(code: int, message: str, request_id: str | int | None) -> Refused:
    error = ErrorData(code=code, message=message)
    return Refused(JSONRPCError(jsonrpc="2.0", id=request_id, error=error))


def _is_id(value: Any) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)
