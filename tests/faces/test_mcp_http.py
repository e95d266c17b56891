"""MCP over HTTP on a real socket: who may talk, by which protocol, and how it ends."""

from __future__ import annotations

import http.client
import signal
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client

from sidecar.domain.errors import SidecarError
from sidecar.mcp import token
from sidecar.mcp.http import access
from sidecar.workspace.user_dirs import UserDirs
from tests.faces.web import PATIENCE, Served, serving, start


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("workspace")
    (folder / "notes.txt").write_text("one\ntwo\n")
    for number in range(2):
        (folder / f"{number}.txt").write_text(f"file {number}")
    return folder


@pytest.fixture(scope="module")
def served(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One server for all tests that leave it running: each start costs over a second."""
    with serving(folder, tmp_path_factory.mktemp("home")) as served:
        yield served


def test_the_guard_checks_token_host_and_origin_on_every_route(served):
    assert served.ask()[0] == 200
    for path, method in [("/mcp", "POST"), ("/mcp", "GET"), ("/sse", "GET"), ("/messages/", "POST"),
                         ("/", "GET"), ("/mcp", "DELETE"), ("/nowhere", "GET")]:  # fmt: skip
        assert served.ask(path, method, Authorization="Bearer wrong")[0] == 401
        assert served.ask(path, method, Authorization="")[0] == 401
        assert served.ask(path, method, Host="evil.example")[0] == 421
        assert served.ask(path, method, Host="127.0.0.1.evil.example:80")[0] == 421
        assert served.ask(path, method, Origin="http://evil.example")[0] == 403
        assert served.ask(path, method, Origin="null")[0] == 403
        assert served.ask(path, method, Origin="http://localhost.evil.example")[0] == 403


def test_a_page_of_this_machine_with_the_token_may_use_it(served):
    assert served.ask(Origin="http://localhost:3000", Host="localhost:9")[0] == 200


def test_a_body_over_the_limit_is_refused_before_it_is_read(served):
    assert served.ask(Content_Length=str(17 * 1024 * 1024))[0] == 413


def test_the_token_is_made_once_and_only_the_user_can_read_it(user_directory):
    dirs = UserDirs.locate()
    first = token.current(dirs)
    assert token.current(dirs) == first
    assert len(first) >= 43
    file = token.token_file(dirs)
    assert file.is_relative_to(user_directory)
    if sys.platform != "win32":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert token.rotate(dirs) != first
    assert token.current(dirs) != first


def test_a_token_that_was_cut_short_is_refused(user_directory):
    dirs = UserDirs.locate()
    token.current(dirs)
    token.token_file(dirs).write_text("")
    with pytest.raises(SidecarError, match="cannot be read"):
        token.current(dirs)


def test_without_a_token_only_loopback_is_listened_on():
    for host in ("0.0.0.0", "::", "192.0.2.1", "example.org"):
        with pytest.raises(SidecarError, match="open to everyone"):
            access(host, None)
    assert access("127.0.0.1", None).token is None
    assert access("::1", None).token is None


def test_an_open_address_answers_to_this_machines_names_alone():
    rules = access("0.0.0.0", "x", ["Sidecar.Example"])
    assert {"localhost", "127.0.0.1", "sidecar.example"} <= rules.hosts
    assert "0.0.0.0" not in rules.hosts
    assert "evil.example" not in rules.hosts


def test_no_token_is_asked_for_on_loopback_if_told_so(folder, user_directory):
    with serving(folder, user_directory, "--no-token") as served:
        assert served.ask()[0] == 200
        assert served.ask(Host="evil.example")[0] == 421


async def read_notes(client: Client) -> Any:
    """List the tools and read the file through one of them."""
    listed = {each.name for each in (await client.list_tools()).tools}
    assert "read_project_file" in listed
    return await client.call_tool("read_project_file", {"file_path": "notes.txt"})


@pytest.mark.parametrize("mode", ["legacy", "auto", "2026-07-28"])
async def test_both_protocol_eras_are_served_at_one_endpoint(served, mode):
    async with httpx2.AsyncClient(headers=served.headers, timeout=PATIENCE) as connection:
        transport = streamable_http_client(f"{served.url}/mcp", http_client=connection)
        async with Client(transport, mode=mode) as client:
            result = await read_notes(client)
    assert result.structured_content["content"] == "one\ntwo\n"


async def test_old_clients_are_served_by_sse(served):
    transport = sse_client(f"{served.url}/sse", headers=served.headers)
    async with Client(transport, mode="legacy") as client:
        result = await read_notes(client)
    assert result.structured_content["content"] == "one\ntwo\n"


async def test_two_clients_at_once_get_their_own_answers(served):
    transports = [sse_client(f"{served.url}/sse", headers=served.headers) for _ in range(2)]
    async with (
        Client(transports[0], mode="legacy") as one,
        Client(transports[1], mode="legacy") as other,
    ):
        for _ in range(5):
            for number, client in enumerate((one, other)):
                path = {"file_path": f"{number}.txt"}
                result = await client.call_tool("read_project_file", path)
                assert result.structured_content["content"] == f"file {number}"


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_signal_ends_it_while_a_stream_is_open(folder, user_directory):
    served = start(folder, user_directory)
    stream = http.client.HTTPConnection("127.0.0.1", served.port, timeout=PATIENCE)
    stream.request("GET", "/sse", headers=served.headers)
    assert stream.getresponse().readline() == b"event: endpoint\r\n"
    served.process.send_signal(signal.SIGTERM)
    served.process.wait(PATIENCE)


def test_serving_creates_nothing_in_the_workspace(served, folder):
    assert served.ask()[0] == 200
    assert sorted(path.name for path in folder.iterdir()) == ["0.txt", "1.txt", "notes.txt"]
