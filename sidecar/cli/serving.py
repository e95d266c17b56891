"""What ``sidecar mcp`` does once its options are known; importing it takes a second and more."""

from __future__ import annotations

import argparse
import socket
import sys
from typing import Any

from sidecar import app
from sidecar.channel.opening import Wire
from sidecar.cli.root import root_of
from sidecar.host.workspace import open_workspace
from sidecar.mcp import http, stdio, token
from sidecar.mcp.early import Early, Rest, Sink
from sidecar.services.context import Context
from sidecar.services.registry import TOOLS
from sidecar.workspace import logs
from sidecar.workspace.user_dirs import UserDirs


def serve_rest(context: Context, early: Early, rest: Rest, sink: Sink, begun: Wire) -> int:
    """Serve a client on stdin and stdout from the moment it needs the SDK; returns the code."""
    return stdio.serve(
        app.mcp_server(context),
        rest,
        sink,
        answered=early.answered,
        acknowledged=begun.acknowledged,
        earlier=early.direct,
    )


def serve_http(options: argparse.Namespace) -> int:
    """Serve many clients over HTTP; returns the exit code."""
    context = open_workspace(root_of(options))
    logs.start(context.workspace.state)
    listener, rules, told = listening(context, options)
    print(f"MCP on {told}", file=sys.stderr)
    return http.serve(app.mcp_server(context), listener, rules)


def served(options: argparse.Namespace) -> dict[str, Any]:
    """What would be served, and where; raises SidecarError where there is no workspace."""
    context = open_workspace(root_of(options))
    settings = context.settings
    return {
        "workspace": str(context.workspace.root),
        "transports": ["stdio", "http", "sse"],
        "host": settings.host if options.host is None else options.host,
        "port": settings.port if options.port is None else options.port,
        "tools": list(TOOLS),
    }


def listening(
    context: Context, options: argparse.Namespace
) -> tuple[socket.socket, http.Access, str]:
    """A listening socket, who may use it, and the sentence that tells a person."""
    host = context.settings.host if options.host is None else options.host
    port = context.settings.port if options.port is None else options.port
    secret = None if options.no_token else token.current(UserDirs.locate())
    rules = http.access(host, secret, context.settings.allowed_hosts)
    listener = http.listen(host, port)
    shown = f"[{host}]" if ":" in host else host
    base = f"http://{shown}:{listener.getsockname()[1]}"
    if secret is None:
        asked = "WARNING: no token is asked for; every program on this machine may use the tools"
    else:
        asked = "clients send `Authorization: Bearer …`; `sidecar token` shows it"
    return listener, rules, f"{base}/mcp, for old clients {base}/sse; {asked}"
