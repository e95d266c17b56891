"""The answers to a client's first questions, as the real server gives them through the SDK.

``python -m sidecar.mcp.manifest`` prints what ``channel/manifest.json`` must hold; ``make docs``
writes it.
"""

from __future__ import annotations

import json
import sys
from typing import Any, NoReturn

import anyio
from mcp.server import Server
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter

from sidecar import __version__
from sidecar.mcp.server import build
from sidecar.services.context import Client, Progress

Json = dict[str, Any]

# Those that `initialize` may name; the newest era has no `initialize`.
VERSIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
MODERN = "2026-07-28"
_LISTED = ("tools", "prompts", "resources", "resources/templates")
_CLIENT = {"name": "manifest", "version": "0"}
VERSION_KEY = "io.modelcontextprotocol/protocolVersion"
_META = {
    VERSION_KEY: MODERN,
    "io.modelcontextprotocol/clientInfo": _CLIENT,
    "io.modelcontextprotocol/clientCapabilities": {},
}


def made(server: Server[Any]) -> Json:
    """The manifest of a server; see ``channel.opening.Answers`` for what is told from it when."""
    return anyio.run(collected, server)


async def collected(server: Server[Any]) -> Json:
    """The same within a running loop."""
    opened = {"protocolVersion": VERSIONS[-1], "capabilities": {}, "clientInfo": _CLIENT}
    asked: list[tuple[str, Json]] = [("initialize", opened), ("notifications/initialized", {})]
    asked += [(f"{name}/list", {}) for name in _LISTED]
    greeting, *lists = await _answers(server, asked)
    discovered, every = await _answers(
        server, [("server/discover", {"_meta": _META}), ("tools/list", {"_meta": _META})]
    )
    del greeting["protocolVersion"], every["tools"]
    return {
        "versions": list(VERSIONS),
        "initialize": greeting,
        "modern": {
            "version": MODERN,
            "every": every,
            "discover": {k: v for k, v in discovered.items() if every.get(k) != v},
        },
        **{key: value for each in lists for key, value in each.items()},
    }


def text(server: Server[Any]) -> str:
    """The manifest as it is kept in the package."""
    return json.dumps(made(server), ensure_ascii=False, indent=1) + "\n"


def current() -> str:
    """What the package should keep: the manifest of its own tools and prompts."""
    return text(build(_no_context, version=__version__))


def _no_context(_: Client, __: Progress) -> NoReturn:
    raise AssertionError("the first questions are about no workspace")


async def _answers(server: Server[Any], messages: list[tuple[str, Json]]) -> list[Json]:
    """The results of requests in one session, in their order."""
    to_server, received = anyio.create_memory_object_stream[SessionMessage | Exception](8)
    answers, from_server = anyio.create_memory_object_stream[SessionMessage](8)
    results = []
    async with anyio.create_task_group() as tasks:
        options = server.create_initialization_options()
        tasks.start_soon(server.run, received, answers, options)
        for number, (method, params) in enumerate(messages):
            message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
            if method.startswith("notifications/"):
                del message["id"]
            parsed = jsonrpc_message_adapter.validate_python(message, by_name=False)
            await to_server.send(SessionMessage(parsed))
            if "id" in message:
                answer = (await from_server.receive()).message
                results.append(answer.model_dump(by_alias=True, exclude_unset=True)["result"])
        tasks.cancel_scope.cancel()
    return results


if __name__ == "__main__":
    sys.stdout.write(current())
