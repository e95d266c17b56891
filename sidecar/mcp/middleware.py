"""What every request passes on its way in: tolerance for models, clear words for clients."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from mcp.server import ServerRequestContext
from mcp.server.context import CallNext, HandlerResult
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, METHOD_NOT_FOUND
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError
from pydantic_core import from_json

Request = ServerRequestContext[Any, Any]

MAX_PROBLEMS = 5


async def arguments_as_text(ctx: Request, call_next: CallNext) -> HandlerResult:
    """Some models send the arguments as JSON text; take it as what it means."""
    if ctx.method != "tools/call" or not isinstance(ctx.params, Mapping):
        return await call_next(ctx)
    arguments = ctx.params.get("arguments")
    if isinstance(arguments, str):
        with suppress(ValueError):
            arguments = from_json(arguments, allow_inf_nan=False)
    if not isinstance(arguments, dict | None):
        raise MCPError(INVALID_PARAMS, "`arguments` must be an object.")
    return await call_next(replace(ctx, params={**ctx.params, "arguments": arguments}))


async def clear_words(ctx: Request, call_next: CallNext) -> HandlerResult:
    """Say what is wrong with a request where the SDK gives a code alone."""
    try:
        return await call_next(ctx)
    except ValidationError as error:
        raise MCPError(INVALID_PARAMS, _wrong(ctx.method, error)) from error
    except MCPError as error:
        told = _told(ctx, error)
        if told is None:
            raise
        raise MCPError(error.code, told, error.data) from error


def _wrong(method: str, error: ValidationError) -> str:
    """The fields that are wrong, without the values: they may be long, or secret."""
    problems = dict.fromkeys(
        f"`{'.'.join(map(str, detail['loc'])).removeprefix('params.')}`: {detail['msg'].lower()}"
        for detail in error.errors(include_input=False, include_url=False)
    )
    return f"The params of {method[:100]} are wrong. {'; '.join([*problems][:MAX_PROBLEMS])}."


def _told(ctx: Request, error: MCPError) -> str | None:
    method = ctx.method[:100]
    modern = ctx.protocol_version in MODERN_PROTOCOL_VERSIONS
    if error.code == METHOD_NOT_FOUND and method == "server/discover" and not modern:
        return (
            "server/discover belongs to protocol 2026-07-28: send _meta with"
            " io.modelcontextprotocol/protocolVersion and .../clientCapabilities, or initialize."
        )
    if error.code == METHOD_NOT_FOUND:
        return f"This server has no method {method}."
    # With this very emptiness the SDK refuses whatever comes before the handshake.
    if error.code == INVALID_PARAMS and error.data == "":
        return f"{method} came before the handshake; send initialize first."
    return None
