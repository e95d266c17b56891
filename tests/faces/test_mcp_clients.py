"""Many clients at once, and what one of them never sees of another."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import Implementation

from tests.faces.web import Served, serving
from tests.faces.wire import INITIALIZE, PATIENCE

CLIENTS = 100
MODERN = "2026-07-28"
MODES = """\
customModes:
  - {slug: first, name: First, roleDefinition: One, groups: [read]}
  - {slug: second, name: Second, roleDefinition: Two, groups: [read]}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("workspace")
    (folder / ".roomodes").write_text(MODES)
    for number in range(CLIENTS):
        (folder / f"{number}.txt").write_text(f"file {number}")
    return folder


@pytest.fixture(scope="module")
def served(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(folder, tmp_path_factory.mktemp("home")) as served:
        yield served


def meta(name: str = "many", session: str | None = None) -> dict[str, Any]:
    """What a request since 2026 carries of its client."""
    told = {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": name, "version": "1"},
    }
    return told | ({"sidecar/session": session} if session else {})


class Caller:
    """One client with a connection of its own, in either era; every request has the id 1."""

    def __init__(self, served: Served, http: httpx2.AsyncClient, **meta: Any) -> None:
        self._url = f"{served.url}/mcp"
        self._http = http
        self._meta = meta
        self._headers = {"Accept": "application/json, text/event-stream"}

    async def initialize(self) -> None:
        """Begin a session, as clients before 2026 do."""
        self._meta = {}
        answer = await self._post("initialize", INITIALIZE, "")
        self._headers["Mcp-Session-Id"] = answer.headers["mcp-session-id"]
        self._headers["MCP-Protocol-Version"] = INITIALIZE["protocolVersion"]

    async def call(self, name: str, **arguments: Any) -> dict[str, Any]:
        """A tool's structured result."""
        params = {"name": name, "arguments": arguments}
        if self._meta:
            params["_meta"] = self._meta
        answer = await self._post("tools/call", params, name)
        assert answer.status_code == 200, answer.text
        text = answer.text
        if answer.headers["content-type"].startswith("text/event-stream"):
            text = next(line[6:] for line in text.splitlines() if line.startswith("data: {"))
        told = httpx2.Response(200, text=text).json()
        assert told["id"] == 1
        return told["result"]["structuredContent"]

    async def _post(self, method: str, params: dict[str, Any], name: str) -> httpx2.Response:
        headers = dict(self._headers)
        if self._meta:
            headers |= {"MCP-Protocol-Version": MODERN, "Mcp-Method": method, "Mcp-Name": name}
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        return await self._http.post(self._url, json=body, headers=headers)


@pytest.mark.parametrize("era", ["2025", "2026"])
async def test_a_hundred_clients_at_once_get_their_own_answers(served, era):
    # To read the machine's certificates a hundred times would take longer than all calls.
    certificates = ssl.create_default_context()

    async def one(number: int) -> list[str]:
        patience = PATIENCE * 2
        options = {"headers": served.headers, "timeout": patience, "verify": certificates}
        async with httpx2.AsyncClient(**options) as http:
            caller = Caller(served, http, **meta(f"client-{number}"))
            if era == "2025":
                await caller.initialize()
            wanted = {"file_path": f"{number}.txt"}
            return [(await caller.call("read_project_file", **wanted))["content"] for _ in "12"]

    answers = await asyncio.gather(*(one(number) for number in range(CLIENTS)))
    right = sum(told == [f"file {n}"] * 2 for n, told in enumerate(answers))
    assert right == CLIENTS


async def previous(caller: Caller, target: str) -> str | None:
    """Switch the mode; the mode that the session had before."""
    told = await caller.call("switch_mode", target_mode=target, track_time=False)
    return told.get("previous_mode")


async def test_a_mode_belongs_to_a_session(served):
    async with httpx2.AsyncClient(headers=served.headers, timeout=PATIENCE) as http:
        old = [Caller(served, http) for _ in range(2)]
        for caller in old:
            await caller.initialize()
        new = [Caller(served, http, **meta(name)) for name in ("alpha", "beta")]
        own = [Caller(served, http, **meta("gamma", session)) for session in ("s1", "s2")]
        callers = [*old, *new, *own]
        for caller in callers:
            assert await previous(caller, "first") is None
        for caller in callers[::2]:
            assert await previous(caller, "second") == "first"
        for caller in callers[1::2]:
            assert await previous(caller, "first") == "first"
        for caller in callers[::2]:
            assert await previous(caller, "second") == "second"


async def test_a_client_of_2026_keeps_its_mode_from_one_connection_to_the_next(served):
    for before in (None, "first"):
        async with httpx2.AsyncClient(headers=served.headers, timeout=PATIENCE) as http:
            assert await previous(Caller(served, http, **meta("delta")), "first") == before


async def test_the_sdks_own_clients_of_different_names_have_different_sessions(served):
    async def modes(name: str) -> list[str | None]:
        info = Implementation(name=name, version="0")
        async with httpx2.AsyncClient(headers=served.headers, timeout=PATIENCE) as http:
            transport = streamable_http_client(f"{served.url}/mcp", http_client=http)
            async with Client(transport, client_info=info) as client:
                found = []
                for target in ("first", "second"):
                    arguments = {"target_mode": target, "track_time": False}
                    told = await client.call_tool("switch_mode", arguments)
                    found.append(told.structured_content.get("previous_mode"))
                return found

    assert await asyncio.gather(modes("one"), modes("two")) == [[None, "first"]] * 2
