"""Who subscribes is told of changes, in both eras and over each transport; nobody else is."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp.shared.subscriptions import ResourceUpdated
from mcp_types import ResourceUpdatedNotification

from sidecar import app
from sidecar.mcp import server
from sidecar.mcp.changes import Changes
from sidecar.mcp.subscriptions import MAX_SUBSCRIPTIONS, Subscriptions
from sidecar.services.registry import TOOLS
from tests.conftest import EXAMPLE
from tests.faces.web import Served, serving
from tests.faces.wire import PATIENCE, Wire

SIDECAR = [sys.executable, "-c", "import sys; from sidecar.cli.main import main; sys.exit(main())"]
pytestmark = pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shutil.copytree(EXAMPLE, tmp_path_factory.mktemp("shared") / "workspace")


@pytest.fixture(scope="module")
def served(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One server over HTTP for all tests of this file."""
    with serving(folder, tmp_path_factory.mktemp("home")) as served:
        yield served


class Told:
    """The notifications of one client before 2026."""

    def __init__(self) -> None:
        self.updated: asyncio.Queue[str] = asyncio.Queue()
        self.others: list[Any] = []

    async def __call__(self, message: Any) -> None:
        if isinstance(message, ResourceUpdatedNotification):
            await self.updated.put(message.params.uri)
        else:
            self.others.append(message)

    async def next(self) -> str:
        return await asyncio.wait_for(self.updated.get(), PATIENCE)


@asynccontextmanager
async def connected(served: Served, path: str, **options: Any) -> AsyncIterator[Client]:
    """A client over streamable HTTP or, with ``/sse``, over what came before it."""
    async with AsyncExitStack() as stack:
        if path == "/sse":
            transport: Any = sse_client(f"{served.url}/sse", headers=served.headers)
        else:
            made = httpx2.AsyncClient(headers=served.headers, timeout=PATIENCE)
            connection = await stack.enter_async_context(made)
            transport = streamable_http_client(f"{served.url}/mcp", http_client=connection)
        yield await stack.enter_async_context(Client(transport, **options))


def touch(folder: Path, name: str = "TODO.md") -> None:
    """Change a file as an editor does."""
    file = folder / name
    beside = folder / "saved.tmp"
    beside.write_bytes(file.read_bytes() + b"\n")
    beside.replace(file)


@pytest.mark.parametrize("path", ["/mcp", "/sse"])
async def test_a_client_before_2026_is_told_until_it_unsubscribes(served, folder, path):
    told = Told()
    async with connected(served, path, mode="legacy", message_handler=told) as client:
        assert client.server_capabilities.resources.subscribe is True
        await client.subscribe_resource("sidecar://todo")
        await client.subscribe_resource("sidecar://diagnostics/TODO.md")
        # The stream that carries what nobody asked for is opened beside the first requests.
        while told.updated.empty():
            touch(folder)
            await asyncio.sleep(0.5)
        seen = {await told.next(), await told.next()}
        assert seen == {"sidecar://todo", "sidecar://diagnostics/TODO.md"}
        touch(folder, "persistent-memory.md")
        await client.subscribe_resource("sidecar://memory")
        await client.unsubscribe_resource("sidecar://todo")
        await client.unsubscribe_resource("sidecar://never")
        while not told.updated.empty():
            told.updated.get_nowait()
        touch(folder)
        touch(folder, "persistent-memory.md")
        seen = set()
        while "sidecar://memory" not in seen:
            seen.add(await told.next())
        assert "sidecar://todo" not in seen
        assert told.others == []


async def test_a_client_of_2026_listens_by_one_stream(served, folder):
    wanted = ["sidecar://todo", "sidecar://modes/code", "sidecar://nothing"]
    async with (
        connected(served, "/mcp", mode="2026-07-28") as client,
        client.listen(resource_subscriptions=wanted) as stream,
    ):
        assert stream.honored.resource_subscriptions == wanted[:2]
        touch(folder)
        assert await anext(stream) == ResourceUpdated("sidecar://todo")
        touch(folder, ".roomodes")
        assert await anext(stream) == ResourceUpdated("sidecar://modes/code")


async def test_a_client_is_told_only_of_what_it_asked_for(served, folder):
    async with (
        connected(served, "/mcp", mode="2026-07-28") as one,
        connected(served, "/mcp", mode="2026-07-28") as other,
        one.listen(resource_subscriptions=["sidecar://todo"]) as todo,
        other.listen(resource_subscriptions=["sidecar://memory"]) as memory,
    ):
        touch(folder)
        touch(folder, "persistent-memory.md")
        assert await anext(todo) == ResourceUpdated("sidecar://todo")
        assert await anext(memory) == ResourceUpdated("sidecar://memory")
        touch(folder, "persistent-memory.md")
        touch(folder)
        assert await anext(todo) == ResourceUpdated("sidecar://todo")
        assert await anext(memory) == ResourceUpdated("sidecar://memory")


async def test_a_wrong_setting_is_told_to_who_listens_for_findings(served, folder):
    wanted = ["sidecar://todo", "sidecar://diagnostics"]
    async with (
        connected(served, "/mcp", mode="2026-07-28") as client,
        client.listen(resource_subscriptions=wanted) as stream,
    ):
        (folder / "sidecar.toml").write_text("product = 1\n")
        async with asyncio.timeout(PATIENCE):
            event = await anext(stream)
        assert event.uri == "sidecar://diagnostics"
        found = await client.read_resource("sidecar://diagnostics")
        assert "sidecar.toml" in found.contents[0].text


async def test_runs_are_told_of_while_they_go_on(served):
    async with connected(served, "/mcp", mode="2026-07-28") as client:
        made = await client.call_tool("delegate_task", {"task_description": "Write a test"})
        task = f"sidecar://runs/{made.structured_content['task_id']}"
        latest = "sidecar://validation/latest"
        async with client.listen(resource_subscriptions=[task, latest]) as stream:
            await client.call_tool("delegate_task", {"action": "claim"})
            assert await anext(stream) == ResourceUpdated(task)
            await client.call_tool("run_validation", {"validation_type": "modes_configuration"})
            assert await anext(stream) == ResourceUpdated(latest)


async def test_what_is_no_resource_cannot_be_subscribed_to_nor_too_much(context):
    async with Client(app.mcp_server(context), mode="legacy") as client:
        for uri in ("sidecar://nothing", "file:///etc/passwd", ""):
            with pytest.raises(MCPError) as refused:
                await client.subscribe_resource(uri)
            assert refused.value.error.code == -32002
        for number in range(MAX_SUBSCRIPTIONS):
            await client.subscribe_resource(f"sidecar://modes/{number}")
        await client.subscribe_resource("sidecar://modes/0")
        with pytest.raises(MCPError, match=str(MAX_SUBSCRIPTIONS)):
            await client.subscribe_resource("sidecar://modes/more")


@pytest.fixture
def wire(example_workspace: Path, user_directory: Path) -> Iterator[Wire]:
    """Our server over stdio."""
    home = {**os.environ, "SIDECAR_HOME": str(user_directory)}
    wire = Wire([*SIDECAR, "mcp", "--workspace", str(example_workspace)], env=home)
    yield wire
    wire.kill()


def test_over_stdio_a_subscriber_gets_notifications_and_never_a_request(wire, example_workspace):
    told = wire.initialize()["result"]["capabilities"]
    assert told["resources"] == {"subscribe": True, "listChanged": False}
    assert told["tools"] == told["prompts"] == {"listChanged": False}
    assert wire.request("resources/subscribe", {"uri": "sidecar://todo"})["result"] == {}
    touch(example_workspace)
    expected = {"jsonrpc": "2.0", "method": "notifications/resources/updated"}
    assert wire.receive() == {**expected, "params": {"uri": "sidecar://todo"}}
    for number, name in enumerate(TOOLS):
        answer = wire.call(name, {}, number=number)
        assert "method" not in answer
        assert answer["id"] == number
    assert wire.close() == 0


def test_over_stdio_a_stream_ends_with_its_cancellation(wire, example_workspace):
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    wanted = {"resourceSubscriptions": ["sidecar://todo"], "toolsListChanged": True}
    acknowledged = wire.request(
        "subscriptions/listen", {"_meta": meta, "notifications": wanted}, number="s"
    )
    assert acknowledged["method"] == "notifications/subscriptions/acknowledged"
    assert acknowledged["params"]["notifications"] == wanted
    touch(example_workspace)
    updated = wire.receive()
    assert updated["params"]["_meta"] == {"io.modelcontextprotocol/subscriptionId": "s"}
    assert updated["params"]["uri"] == "sidecar://todo"
    cancelled = {"jsonrpc": "2.0", "method": "notifications/cancelled"}
    wire.send({**cancelled, "params": {"requestId": "s"}})
    assert wire.request("tools/list", {"_meta": meta}, number=2)["id"] == 2
    touch(example_workspace)
    assert wire.close() == 0
    assert wire.receive() is None


async def until(true: Callable[[], bool]) -> None:
    """Wait for something that happens soon."""
    for _ in range(int(PATIENCE / 0.02)):
        if true():
            return
        await asyncio.sleep(0.02)
    pytest.fail("It has not happened.")


async def test_nothing_is_watched_before_the_first_and_after_the_last_subscriber(context):
    told: asyncio.Queue[str] = asyncio.Queue()
    changes = Changes(lambda: context, told.put)
    assert not changes.watching
    changes.hold(["sidecar://todo", "sidecar://validation/latest", "sidecar://nothing"])
    changes.hold(["sidecar://todo"])
    await changes.ready()
    assert changes.watching
    touch(context.workspace.root)
    assert await asyncio.wait_for(told.get(), PATIENCE) == "sidecar://todo"
    changes.release(["sidecar://todo", "sidecar://validation/latest", "sidecar://nothing"])
    await changes.ready()
    assert changes.watching
    changes.release(["sidecar://todo"])
    await changes.ready()
    await until(lambda: not changes.watching)
    touch(context.workspace.root)
    changes.hold(["sidecar://todo"])
    await changes.ready()
    touch(context.workspace.root)
    assert await asyncio.wait_for(told.get(), PATIENCE) == "sidecar://todo"
    changes.release(["sidecar://todo"])
    await until(lambda: not changes.watching)


async def test_watching_ends_with_the_session_that_wanted_it(context):
    told = Subscriptions(lambda: context)
    made = server.build(lambda *_: context, version="0", subscriptions=told)
    async with Client(made, mode="legacy") as client:
        await client.subscribe_resource("sidecar://todo")
        await client.subscribe_resource("sidecar://validation/latest")
        assert told.changes.watching
    await until(lambda: not told.changes.watching)
    async with Client(made, mode="2026-07-28") as client:
        async with client.listen(tools_list_changed=True):
            assert not told.changes.watching
        async with client.listen(resource_subscriptions=["sidecar://todo"]):
            assert told.changes.watching
        await until(lambda: not told.changes.watching)


async def test_a_waiter_that_is_cancelled_leaves_nothing_behind(context):
    told: asyncio.Queue[str] = asyncio.Queue()
    changes = Changes(lambda: context, told.put)
    for _ in range(5):
        changes.hold(["sidecar://todo"])
        waiting = asyncio.create_task(changes.ready())
        await asyncio.sleep(0)
        waiting.cancel()
        changes.release(["sidecar://todo"])
    await changes.ready()
    await until(lambda: not changes.watching)

    assert told.empty()


async def test_a_new_task_and_its_end_are_told_though_no_file_changes(context):
    told: asyncio.Queue[str] = asyncio.Queue()
    task = TOOLS["delegate_task"].call(context, {"task_description": "Write a test"})
    uri = f"sidecar://runs/{task.task_id}"
    changes = Changes(lambda: context, told.put)
    changes.hold([uri])
    await changes.ready()
    TOOLS["delegate_task"].call(context, {"action": "cancel", "task_id": task.task_id})
    assert await asyncio.wait_for(told.get(), PATIENCE) == uri
    changes.release([uri])
    await until(lambda: not changes.watching)
