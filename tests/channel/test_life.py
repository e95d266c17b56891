"""One sidecar for a workspace: how it begins, who shares it, and what ends it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sidecar.channel import opening, seat
from sidecar.channel.frames import MESSAGE, frame
from sidecar.channel.message import Unavailable
from sidecar.channel.place import MOST_SOCKET_BYTES, place_of
from sidecar.host.link import ChannelLink
from tests.channel.clients import (
    SIDECAR,
    alive,
    crash,
    processes,
    sidecar,
    sidecars,
    status,
    total,
    until,
)
from tests.faces.test_mcp_opening import listen
from tests.faces.wire import INITIALIZE, PATIENCE

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc")


@pytest.mark.parametrize("count", [2, 8])
def test_agents_that_start_at_once_share_one_sidecar(
    start, example_workspace, user_directory, count
):
    agents = [start(example_workspace) for _ in range(count)]
    assert all("result" in each.initialize() for each in agents)
    assert [total(each) for each in agents] == [6] * count
    assert len(sidecars(user_directory)) == 1
    told = status(example_workspace)
    assert {each["pid"] for each in told["clients"]} == {each.process.pid for each in agents}
    assert told["pid"] in sidecars(user_directory)
    assert [each.close() for each in agents] == [0] * count
    until(lambda: not processes(user_directory))


def test_the_sidecar_is_nobodys_child_and_has_no_secret_of_who_started_it(
    start, example_workspace, monkeypatch
):
    monkeypatch.setenv("SOME_API_KEY", "secret")
    agent = start(example_workspace)
    agent.initialize()
    assert total(agent) == 6
    process = status(example_workspace)["pid"]
    parent = Path(f"/proc/{process}/stat").read_bytes().rpartition(b")")[2].split()[1]
    assert int(parent) != agent.process.pid
    assert os.getsid(process) == process
    environment = Path(f"/proc/{process}/environ").read_bytes()
    assert b"SIDECAR_HOME" in environment
    assert b"SOME_API_KEY" not in environment


def test_two_workspaces_have_two_sidecars_even_one_within_the_other(
    start, example_workspace, user_directory
):
    inner = example_workspace / "inner"
    shutil.copytree(example_workspace / ".roo", inner / ".roo")
    (inner / "TODO.md").write_text("# TODO\n- [ ] one\n")
    outer_agent, inner_agent = start(example_workspace), start(inner)
    assert [each.initialize()["id"] for each in (outer_agent, inner_agent)] == ["init"] * 2
    assert (total(outer_agent), total(inner_agent)) == (6, 1)
    assert len(sidecars(user_directory)) == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_signal_ends_a_channel_and_the_others_go_on(start, example_workspace, number):
    one, other = start(example_workspace), start(example_workspace)
    for each in (one, other):
        each.initialize()
        assert total(each) == 6
    one.process.send_signal(number)
    assert one.process.wait(PATIENCE) == (-number if number == signal.SIGKILL else 0)
    assert total(other) == 6
    until(lambda: len(status(example_workspace)["clients"]) == 1)


def test_a_channel_ends_with_its_parent_though_its_input_stays_open(example_workspace):
    source, sink = os.pipe()
    script = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen(sys.argv[1:], stdin=0, stdout=subprocess.DEVNULL)\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    command = [*SIDECAR, "mcp", "--workspace", str(example_workspace)]
    parent = subprocess.Popen(
        [sys.executable, "-c", script, *command], stdin=source, stdout=subprocess.PIPE
    )
    channel = int(parent.stdout.readline())
    until(lambda: status(example_workspace)["running"])
    parent.kill()
    parent.wait()
    until(lambda: not alive(channel))
    os.close(sink)
    os.close(source)


def test_calls_in_flight_when_the_sidecar_dies_are_refused_and_the_session_goes_on(
    start, example_workspace
):
    agent = start(example_workspace)
    agent.initialize()
    assert total(agent) == 6
    agent.send(
        {
            "jsonrpc": "2.0",
            "id": "slow",
            "method": "tools/call",
            "params": {"name": "run_validation", "arguments": {"wait_seconds": 50}},
        }
    )
    before = crash(example_workspace)
    answer = agent.receive()
    assert answer["id"] == "slow"
    if "error" in answer:
        assert answer["error"]["message"].startswith("The sidecar ended while this was under way")
    assert total(agent) == 6
    assert status(example_workspace)["pid"] != before


def test_what_was_asked_while_no_sidecar_was_there_is_answered_by_the_next(
    start, example_workspace, user_directory
):
    """Both the handshake and the question arrive before anybody can answer."""
    agent = start(example_workspace)
    agent.send({"jsonrpc": "2.0", "id": "init", "method": "initialize", "params": INITIALIZE})
    agent.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
    call = {"name": "get_todo_status", "arguments": {"include_completed": True}}
    agent.send({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call})
    starting = until(lambda: processes(user_directory))
    for process in starting:
        os.kill(process, signal.SIGKILL)
    answers = [agent.receive() for _ in range(2)]
    assert [each["id"] for each in answers] == ["init", 1]
    assert answers[1]["result"]["structuredContent"]["total"] == 6


def test_a_subscription_outlives_the_sidecar(start, example_workspace):
    agent = start(example_workspace)
    agent.initialize()
    assert agent.request("resources/subscribe", {"uri": "sidecar://todo"})["result"] == {}
    crash(example_workspace)
    updated = {"method": "notifications/resources/updated", "params": {"uri": "sidecar://todo"}}
    # Nobody watched for a moment, so it may have changed.
    assert agent.receive().items() >= updated.items()
    (example_workspace / "TODO.md").write_text("# TODO\n- [ ] one\n")
    assert agent.receive().items() >= updated.items()


def test_a_stream_outlives_the_sidecar(start, example_workspace):
    agent = start(example_workspace)
    agent.send(listen(resourceSubscriptions=["sidecar://todo"]))
    assert agent.receive()["method"] == "notifications/subscriptions/acknowledged"
    crash(example_workspace)
    for _ in range(2):
        told = agent.receive()
        assert told["method"] == "notifications/resources/updated"
        assert told["params"]["uri"] == "sidecar://todo"
        (example_workspace / "TODO.md").write_text("# TODO\n- [ ] one\n")


def test_the_mode_of_a_session_outlives_the_sidecar(start, example_workspace):
    agent, other = start(example_workspace), start(example_workspace)
    for each in (agent, other):
        each.initialize()
    change = {"target_mode": "implementation-core"}
    assert agent.call("switch_mode", change)["result"]["structuredContent"]["changed"] is True
    crash(example_workspace)
    until(lambda: len(status(example_workspace)["clients"]) == 2)
    told = [each.call("switch_mode", change)["result"] for each in (agent, other)]
    assert [each["structuredContent"]["changed"] for each in told] == [False, True]


def test_a_lock_that_somebody_cleaned_away_gives_way_to_the_new_one(
    start, example_workspace, user_directory
):
    agent = start(example_workspace)
    agent.initialize()
    assert total(agent) == 6
    before = status(example_workspace)["pid"]
    shutil.rmtree(user_directory / "run")
    until(lambda: not alive(before))
    assert total(agent) == 6
    assert len(sidecars(user_directory)) == 1


def test_a_workspace_that_was_moved_is_told_and_served_at_its_new_place(
    start, example_workspace, user_directory
):
    agent = start(example_workspace)
    agent.initialize()
    assert total(agent) == 6
    moved = example_workspace.rename(example_workspace.with_name("moved"))
    until(lambda: not sidecars(user_directory))
    refused = agent.call("get_todo_status", {})
    assert "cannot be found any more" in refused["error"]["message"]
    assert str(moved.parent) not in refused["error"]["message"]
    other = start(moved)
    other.initialize()
    assert total(other) == 6


def test_no_sidecar_can_be_had_so_the_channel_serves_alone(
    start, example_workspace, user_directory, monkeypatch
):
    blocked = user_directory / "b"
    blocked.mkdir()
    (blocked / "run").write_text("a file where the folder should be")
    monkeypatch.setenv("SIDECAR_HOME", str(blocked))
    agent = start(example_workspace)
    agent.initialize()
    assert total(agent) == 6
    until(lambda: b"serving alone" in agent.errors)
    assert agent.close() == 0


def test_a_socket_that_may_not_be_used_is_told_at_once(start, example_workspace):
    """As in a container, or another user's folder; waiting for it would not help."""
    if os.geteuid() != 0:
        pytest.skip("only root may become somebody else")
    agent = start(example_workspace)
    agent.initialize()
    assert total(agent) == 6
    place = place_of(str(example_workspace))
    os.seteuid(65_534)
    try:
        with pytest.raises(Unavailable, match="may not be used from here"):
            seat.find_or_start(place, seat.greeting("mcp", place))
    finally:
        os.seteuid(0)


def test_a_home_too_long_for_a_socket_is_served(start, example_workspace, tmp_path, monkeypatch):
    home = tmp_path / ("long" * 30)
    monkeypatch.setenv("SIDECAR_HOME", str(home))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    place = place_of(str(example_workspace))
    if len(place.socket) > MOST_SOCKET_BYTES + 8:
        pytest.skip("the folder for temporary files is too long itself")
    agent = start(example_workspace)
    agent.initialize()
    assert total(agent) == 6
    assert status(example_workspace)["running"]
    agent.close()
    until(lambda: not status(example_workspace)["running"])


def test_a_read_only_workspace_is_read_and_says_so(start, example_workspace):
    mount = ["mount", "--bind", "-o", "ro", str(example_workspace), str(example_workspace)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount, where the system allows it at all")
    remount = ["mount", "-o", "remount,bind,ro", str(example_workspace)]
    subprocess.run(remount, check=False, capture_output=True)
    try:
        agent = start(example_workspace)
        agent.initialize()
        assert total(agent) == 6
        change = {"file_path": "x.txt", "content": "x"}
        refused = agent.call("write_project_file", change)["result"]
        assert refused["isError"] is True
        assert "read-only" in refused["content"][0]["text"].lower()
        assert status(example_workspace)["read_only"] is True
        assert "read-only" in sidecar("status", root=example_workspace).stdout
        agent.close()
    finally:
        subprocess.run(["umount", "-l", str(example_workspace)], check=True)


def test_another_version_or_python_replaces_the_sidecar_once_its_work_is_done(
    start, example_workspace
):
    """The agent that was there stays connected, and does not drive the newcomer out again."""
    agent = start(example_workspace)
    agent.initialize()
    assert total(agent) == 6
    before = status(example_workspace)["pid"]
    place = place_of(str(example_workspace))
    newcomer = {**seat.greeting("mcp", place), "version": "99.0"}
    link = seat.find_or_start(place, newcomer)
    assert link.answer["pid"] != before
    assert not alive(before)
    assert total(agent) == 6
    until(lambda: len(status(example_workspace)["clients"]) == 2)
    assert status(example_workspace)["pid"] == link.answer["pid"]
    link.close()


def test_a_renewed_package_is_served_as_soon_as_it_is_there(
    start, example_workspace, tmp_path, monkeypatch
):
    """What is imported late must fit what was imported before; the session goes on."""
    library = tmp_path / "library"
    shutil.copytree(ROOT / "sidecar", library / "sidecar", ignore=shutil.ignore_patterns("__py*"))
    monkeypatch.setenv("PYTHONPATH", str(library))
    agent = start(example_workspace)
    agent.initialize()
    assert total(agent) == 6
    before = status(example_workspace)
    first = library / "sidecar" / "__init__.py"
    renewed = first.read_text().replace(f'"{before["version"]}"', '"9.9.9"')
    first.unlink()
    time.sleep(1.5)  # an installer is at work
    assert alive(before["pid"])
    first.write_text(renewed)
    until(lambda: status(example_workspace).get("version") == "9.9.9")
    until(lambda: not alive(before["pid"]))
    assert total(agent) == 6
    assert agent.request("resources/read", {"uri": "sidecar://todo"}, number=9)["result"]
    assert agent.close() == 0


def test_a_person_who_serves_takes_over_and_stop_ends_it(start, example_workspace):
    agent = start(example_workspace)
    agent.initialize()
    assert total(agent) == 6
    before = status(example_workspace)["pid"]
    command = [*SIDECAR, "serve", "--port", "0", "--workspace", str(example_workspace)]
    serving = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        until(lambda: status(example_workspace).get("pid") == serving.pid)
        until(lambda: not alive(before))
        assert total(agent) == 6
        second = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert second.returncode == 2
        assert f"runs already, process {serving.pid}" in second.stderr
        assert agent.close() == 0
        time.sleep(2.5)  # longer than any other sidecar would stay
        assert status(example_workspace)["started_by"] == "serve"
        stopped = sidecar("stop", root=example_workspace)
        assert (stopped.returncode, stopped.stdout) == (0, "The sidecar has ended.\n")
        assert serving.wait(PATIENCE) == 0
    finally:
        serving.kill()
        serving.wait()
    assert sidecar("stop", root=example_workspace).stdout == "No sidecar was running.\n"
    assert sidecar("status", root=example_workspace).stdout.startswith("No sidecar runs for")


def test_a_client_that_reads_no_answers_does_not_hold_up_the_end(example_workspace):
    (example_workspace / "long.txt").write_text("x" * 500_000 + "\n")
    place = place_of(str(example_workspace))
    stuck = seat.find_or_start(place, seat.greeting("mcp", place))
    reading = {"name": "read_project_file", "arguments": {"file_path": "long.txt"}}
    for said in (
        {"id": 0, "method": "initialize", "params": INITIALIZE},
        {"method": "notifications/initialized"},
        *({"id": number, "method": "tools/call", "params": reading} for number in range(1, 10)),
    ):
        assert stuck.send(frame(MESSAGE, json.dumps({"jsonrpc": "2.0", **said}).encode()))
    # Of ten answers of half a megabyte the socket takes fewer than half.
    until(lambda: any(each["client"] for each in status(example_workspace)["clients"]))
    assert sidecar("stop", root=example_workspace).stdout == "The sidecar has ended.\n"
    assert not status(example_workspace)["running"]
    stuck.close()


def test_a_suspended_client_does_not_keep_a_newcomer_waiting(start, example_workspace):
    suspended = start(example_workspace)
    suspended.initialize()
    assert total(suspended) == 6
    before = status(example_workspace)["pid"]
    os.kill(suspended.process.pid, signal.SIGSTOP)
    place = place_of(str(example_workspace))
    link = seat.find_or_start(place, {**seat.greeting("mcp", place), "version": "99.0"})
    assert link.answer["pid"] != before
    os.kill(suspended.process.pid, signal.SIGCONT)
    assert total(suspended) == 6
    link.close()


def test_nothing_is_waited_for_that_is_owed_to_a_client_who_has_left():
    here, there = socket.socketpair()
    link = ChannelLink({}, here)
    link.under_way = lambda: ["tools/call"]
    there.close()

    async def left() -> None:
        draining = asyncio.create_task(link.drain())
        await asyncio.sleep(0.05)
        assert not draining.done()
        link.close()
        await asyncio.wait_for(draining, PATIENCE)

    asyncio.run(left())


def test_other_lists_than_the_channel_told_are_said_and_kept_for_the_next_channel(
    start, example_workspace, user_directory
):
    """As after a change of the package while a renewed copy of its lists is there."""
    told = opening.manifest()
    stale = {**told, "tools": told["tools"][:3]}
    copy = user_directory / "run" / "manifest.json"
    copy.parent.mkdir()
    opening.renew(str(copy), stale)
    agent = start(example_workspace)
    agent.initialize()
    assert len(agent.request("tools/list", {})["result"]["tools"]) == 3
    names = ("tools", "prompts", "resources")
    said = [agent.receive()["method"] for _ in names]
    assert said == [f"notifications/{name}/list_changed" for name in names]
    assert len(agent.request("tools/list", {})["result"]["tools"]) == 20
    other = start(example_workspace)
    other.initialize()
    assert len(other.request("tools/list", {})["result"]["tools"]) == 20
    assert json.loads(copy.read_text())["manifest"]["tools"] != stale["tools"]


def test_after_a_stop_the_next_question_starts_a_sidecar_again(start, example_workspace):
    agent = start(example_workspace)
    agent.initialize()
    assert total(agent) == 6
    assert sidecar("stop", root=example_workspace).returncode == 0
    time.sleep(0.5)
    assert status(example_workspace)["running"] is False
    assert total(agent) == 6
    told = sidecar("status", root=example_workspace).stdout
    assert f"process {agent.process.pid}" in told
    assert "wire" in told
