"""A machine that sleeps: processes stand still while clocks go on, and then everything goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from sidecar.channel import seat, unix
from sidecar.channel.place import place_of
from sidecar.host.server import GREETING_SECONDS, LINGER_SECONDS
from tests.channel.clients import SIDECAR, sidecars, status, total, until
from tests.faces.wire import PATIENCE

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc")

READ = {"name": "get_todo_status", "arguments": {"include_completed": True}}


@contextmanager
def asleep(seconds: float, *numbers: int) -> Iterator[None]:
    """Processes that stand still while the block runs, and for so many seconds at least."""
    began = time.monotonic()
    for each in numbers:
        os.kill(each, signal.SIGSTOP)
    try:
        yield
        time.sleep(max(0.0, began + seconds - time.monotonic()))
    finally:
        for each in numbers:
            os.kill(each, signal.SIGCONT)


def call(number: int) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": READ}


@pytest.fixture
def editing(edit, example_workspace) -> Callable[[str, int], list[str]]:
    """An editor with the plan open; tells which codes a text of it gets."""
    editor = edit(example_workspace)
    editor.initialize()
    editor.open("TODO.md", "# TODO\n- [ ] one\n")
    editor.shown("TODO.md")

    def codes(text: str, version: int) -> list[str]:
        editor.change("TODO.md", version, {"text": text})
        told = editor.receive(
            lambda m: (
                m.get("method") == "textDocument/publishDiagnostics"
                and m["params"].get("version") == version
            )
        )
        return [each["code"] for each in told["params"]["diagnostics"]]

    return codes


def test_a_sidecar_that_slept_answers_all_and_drops_nobody(
    start, editing, example_workspace, user_directory
):
    """It sleeps longer than it waits for a greeting, for clients, and between looks around."""
    agent = start(example_workspace)
    agent.initialize()
    assert total(agent) == 1
    before = status(example_workspace)
    place = place_of(str(example_workspace))
    half_greeted = unix.connected(place)
    half_greeted.sendall(b'{"sidecar": 1, ')
    time.sleep(0.2)  # so that it is being listened to
    with asleep(GREETING_SECONDS + 1, before["pid"]):
        agent.send(call(1))
        newcomer = start(example_workspace)
        assert "result" in newcomer.initialize()
        newcomer.send(call(2))
        time.sleep(LINGER_SECONDS)
        assert sidecars(user_directory) == {before["pid"]}
    half_greeted.sendall(b'"face": "status"}\n')
    assert b'"running":true' in half_greeted.recv(65_536)
    for each, number in ((agent, 1), (newcomer, 2)):
        answer = each.receive()
        assert (answer["id"], answer["result"]["isError"]) == (number, False)
    assert editing("# TODO\n- [x] one\n", 2) == []
    after = status(example_workspace)
    assert after["pid"] == before["pid"]
    assert [each["pid"] for each in after["clients"]][:2] == [
        each["pid"] for each in before["clients"]
    ]
    half_greeted.close()


def test_a_sidecar_whose_last_client_left_just_before_it_slept_waits_for_the_next(
    start, example_workspace
):
    agent = start(example_workspace)
    agent.initialize()
    assert total(agent) == 6
    process = status(example_workspace)["pid"]
    agent.close()
    with asleep(LINGER_SECONDS + 1, process):
        newcomer = start(example_workspace)
        newcomer.initialize()
        newcomer.send(call(1))
    assert newcomer.receive()["id"] == 1
    assert status(example_workspace)["pid"] == process


def test_clients_and_sidecar_that_sleep_together_go_on_together(
    start, editing, example_workspace, user_directory
):
    agent = start(example_workspace)
    agent.initialize()
    assert total(agent) == 1
    before = status(example_workspace)
    channels = [each["pid"] for each in before["clients"]]
    with asleep(LINGER_SECONDS + 1, *channels, before["pid"]):
        agent.send(call(1))
    assert agent.receive()["id"] == 1
    assert editing("# TODO\n- [x] one\n", 2) == []
    assert [each["pid"] for each in status(example_workspace)["clients"]] == channels
    assert sidecars(user_directory) == {before["pid"]}


def test_a_channel_follows_a_client_that_slept(example_workspace):
    """The client that the editor has named stands still too, and ends only later."""
    client = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    channel = subprocess.Popen(
        [*SIDECAR, "lsp"], cwd=example_workspace, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    params = {"processId": client.pid, "capabilities": {}, "workspaceFolders": None}
    said = seat.line({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params})
    channel.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(said), said))
    channel.stdin.flush()
    assert channel.stdout.readline().startswith(b"Content-Length")
    told = status(example_workspace)
    with asleep(1, client.pid, channel.pid, told["pid"]):
        pass
    assert status(example_workspace)["clients"][0]["pid"] == channel.pid
    client.kill()
    client.wait()
    assert channel.wait(PATIENCE) == 1
    until(lambda: not status(example_workspace)["clients"])
    for stream in (channel.stdin, channel.stdout):
        stream.close()
