"""MCP over HTTP: ``/mcp`` for both protocol eras, ``/sse`` for old clients, behind one guard."""

from __future__ import annotations

import hmac
import ipaddress
import logging
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import uvicorn
from mcp.server import Server
from mcp.server.sse import SseServerTransport
from mcp.server.transport_security import RequestBodyLimitMiddleware, TransportSecuritySettings
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.mcp.connection import MOST_CONNECTIONS, Connection

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 16 * 1024 * 1024
_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_STREAMS_END_SECONDS = 1
_AUTHORITY = re.compile(r"(?:\[([0-9a-f:.]+)\]|([^][:@/\s]+))(?::\d{1,5})?")


@dataclass(frozen=True)
class Access:
    """Who may talk to the server: under these host names, with this token where there is one."""

    hosts: frozenset[str]
    token: str | None


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def access(host: str, token: str | None, allowed_hosts: Iterable[str] = ()) -> Access:
    """The rules for an address to listen on; raises E_INVALID without a token beyond loopback."""
    if token is None and not is_loopback(host):
        raise SidecarError(
            ErrorCode.INVALID,
            f"Without a token the tools would be open to everyone who reaches {host}.",
            hint="Leave out --no-token, or listen on 127.0.0.1.",
        )
    names = {*_LOOPBACK_NAMES, *(each.lower() for each in allowed_hosts)}
    if not is_loopback(host):
        names |= _own_names() if _is_any(host) else {host.lower()}
    return Access(frozenset(names), token)


def _is_any(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _own_names() -> set[str]:
    """This machine's names and addresses, as far as it can tell them."""
    name = socket.gethostname().lower()
    try:
        found = socket.getaddrinfo(name, None)
    except OSError:
        found = []
    return {name, *(str(entry[4][0]).partition("%")[0] for entry in found)}


class Guard:
    """Checks Host, Origin and token of every request on every route, before anything is read."""

    def __init__(self, app: ASGIApp, rules: Access) -> None:
        self._app = RequestBodyLimitMiddleware(app, MAX_BODY_BYTES)
        self._rules = rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer why not."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            refusal = self._refusal(Headers(scope=scope))
            await (refusal or self._app)(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    def _refusal(self, headers: Headers) -> Response | None:
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        if len(hosts) != 1 or _name(hosts[0]) not in self._rules.hosts:
            return PlainTextResponse("This server does not go by that name.", 421)
        for origin in origins:
            scheme, _, place = origin.partition("://")
            if scheme not in {"http", "https"} or _name(place) not in self._rules.hosts:
                return PlainTextResponse("Pages of that origin may not use this server.", 403)
        if self._rules.token is not None and not _carries(headers, self._rules.token):
            challenge = {"WWW-Authenticate": 'Bearer realm="loop-orchestrator"'}
            told = "Send the token: `Authorization: Bearer …`; `sidecar token` shows it."
            return PlainTextResponse(told, 401, challenge)
        return None


def _name(authority: str) -> str:
    """The host of ``host:port``, without brackets, in lower case; nothing where it is neither."""
    found = _AUTHORITY.fullmatch(authority.lower().removesuffix("/"))
    return (found[1] or found[2]) if found else ""


def _carries(headers: Headers, token: str) -> bool:
    given = headers.getlist("authorization")
    scheme, _, value = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    return scheme.lower() == "bearer" and hmac.compare_digest(
        value.strip().encode("utf-8", "replace"), token.encode()
    )


def application(server: Server[Any], rules: Access) -> ASGIApp:
    """The guarded ASGI application: ``/mcp``, ``/sse`` and ``/messages/``."""
    # The guard has judged Host and Origin already, whatever the address.
    judged = TransportSecuritySettings(enable_dns_rebinding_protection=False)
    sse = SseServerTransport("/messages/", judged, MAX_BODY_BYTES)

    async def stream(request: Request) -> Response:
        async with sse.connect_sse(request.scope, request.receive, request._send) as (read, write):  # noqa: SLF001 - as the SDK's own example does; Starlette has no public name for it
            await server.run(read, write, server.create_initialization_options())
        return Response()

    app = server.streamable_http_app(
        transport_security=judged,
        max_request_body_size=MAX_BODY_BYTES,
        custom_starlette_routes=[
            Route("/sse", stream, methods=["GET"]),
            Mount("/messages/", app=sse.handle_post_message),  # type: ignore[list-item]
        ],
    )
    return Guard(app, rules)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; raises SidecarError E_UNAVAILABLE where the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(256)
    except OSError as error:
        listener.close()
        raise SidecarError(
            ErrorCode.UNAVAILABLE,
            f"The address {host}, port {port} cannot be listened on: {error.strerror}.",
            hint="Choose another by --port; 0 takes any free one.",
        ) from None
    return listener


def serve(
    server: Server[Any],
    listener: socket.socket,
    rules: Access,
    connection: type[Connection] = Connection,
) -> int:
    """Serve until a signal comes; returns the exit code."""
    config = uvicorn.Config(
        application(server, rules),
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=_STREAMS_END_SECONDS,
        ws="none",
        http=connection,
        limit_concurrency=MOST_CONNECTIONS,
    )
    uvicorn.Server(config).run(sockets=[listener])
    return 0
