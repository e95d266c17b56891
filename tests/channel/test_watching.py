"""Editors and agents of one workspace watch it together, and agents hear of what is typed."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.channel.clients import SIDECAR, status, until
from tests.channel.typing_editor import TypingEditor
from tests.faces.wire import PATIENCE, Wire

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc")

MODES, PLAN = "sidecar://modes", "sidecar://todo"
BROKEN = "customModes:\n  - {slug: a, name: A, roleDefinition: Works., groups: [comand]}\n"


def observers(process: int) -> int:
    """How many observers a process has: each has an inotify instance of its own."""
    found = 0
    for descriptor in Path(f"/proc/{process}/fd").iterdir():
        try:
            found += descriptor.readlink() == Path("anon_inode:inotify")
        except FileNotFoundError:
            continue
    return found


def save(file: Path, text: str) -> None:
    """At once, so that no half of it is seen however busy the machine is."""
    beside = file.with_name("saved.tmp")
    beside.write_text(text, "utf-8")
    beside.replace(file)


def updated(uri: str) -> dict[str, Any]:
    """What a subscriber is told."""
    method = "notifications/resources/updated"
    return {"jsonrpc": "2.0", "method": method, "params": {"uri": uri}}


def subscribe(agent: Wire, uri: str) -> None:
    assert agent.request("resources/subscribe", {"uri": uri})["result"] == {}


def plan(agent: Wire) -> dict[str, Any]:
    """The plan as the resource tells it."""
    [content] = agent.request("resources/read", {"uri": PLAN})["result"]["contents"]
    return json.loads(content["text"])


@pytest.fixture
def editors(example_workspace: Path, user_directory: Path) -> Iterator[list[TypingEditor]]:
    """Two editors that are not started yet with anything."""
    found = [TypingEditor(example_workspace) for _ in range(2)]
    yield found
    for editor in found:
        editor.kill()


def test_two_editors_and_two_agents_share_one_observer_as_long_as_anybody_watches(
    start, editors, example_workspace
):
    agents = [start(example_workspace) for _ in range(2)]
    for agent in agents:
        agent.initialize()
    process = until(lambda: status(example_workspace).get("pid"))
    assert observers(process) == 0
    for agent in agents:
        subscribe(agent, MODES)
        assert observers(process) == 1
    for editor in editors:
        editor.begin()
        editor.shown(".roo/schedules.json", "SC004")
        assert observers(process) == 1
    save(example_workspace / ".roomodes", BROKEN)
    for agent in agents:
        assert agent.receive() == updated(MODES)
    for editor in editors:
        editor.shown(".roomodes", "RM006")
        editor.close()
    until(lambda: len(status(example_workspace)["clients"]) == 2)
    assert observers(process) == 1
    for agent in agents:
        assert agent.request("resources/unsubscribe", {"uri": MODES})["result"] == {}
    until(lambda: observers(process) == 0)


@pytest.fixture
def serving(example_workspace: Path, user_directory: Path) -> Iterator[subprocess.Popen[str]]:
    """``sidecar serve``, for a product that has two places for its schedules."""
    (example_workspace / "sidecar.toml").write_text('product = "zoo"\n')
    command = [*SIDECAR, "serve", "--port", "0", "--workspace", str(example_workspace)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    late = threading.Timer(PATIENCE, process.kill)
    late.start()
    yield process
    late.cancel()
    process.terminate()
    process.communicate()


def test_who_serves_a_workspace_has_one_observer_for_itself_and_all_clients(
    start, editors, example_workspace, serving
):
    shown = iter(serving.stdout.readline, "")
    assert any("Watching" in line for line in shown)
    until(lambda: status(example_workspace).get("pid") == serving.pid)
    until(lambda: observers(serving.pid))
    agents = [start(example_workspace) for _ in range(2)]
    for agent in agents:
        agent.initialize()
        subscribe(agent, MODES)
    for editor in editors:
        editor.begin()
        editor.shown(".roo/schedules.json", "SC004")
    save(example_workspace / ".roomodes", BROKEN)
    assert any("RM006" in line for line in shown)
    for agent in agents:
        assert agent.receive() == updated(MODES)
    for editor in editors:
        editor.shown(".roomodes", "RM006")
    assert observers(serving.pid) == 1
    # A file that was not there when the watch began, and takes another one's place.
    (example_workspace / ".zoo").mkdir()
    (example_workspace / ".zoo" / "schedules.json").write_text('{"schedules": [}')
    assert any(".zoo/schedules.json" in line for line in shown)


def test_a_subscriber_is_told_whenever_what_it_would_read_has_changed(
    start, editors, example_workspace
):
    agent, editor = start(example_workspace), editors[0]
    file = example_workspace / "TODO.md"
    saved = file.read_text("utf-8")
    agent.initialize()
    subscribe(agent, PLAN)
    before = plan(agent)
    editor.begin()
    editor.type("TODO.md", saved)
    editor.type("TODO.md", saved + "\n- [ ] Typed, not saved\n")
    assert agent.receive() == updated(PLAN)
    typed = plan(agent)
    assert (before["source"], typed["source"]) == ("disk", "editor")
    assert typed["total"] == before["total"] + 1
    save(file, editor.texts["TODO.md"])
    assert agent.receive() == updated(PLAN)
    kept = plan(agent)
    assert (kept["source"], kept["total"]) == ("disk", typed["total"])
    editor.type("TODO.md", saved)
    assert agent.receive() == updated(PLAN)
    assert plan(agent)["total"] == before["total"]
    # The editor leaves without saving: the disk speaks again.
    editor.kill()
    assert agent.receive() == updated(PLAN)
    left = plan(agent)
    assert (left["source"], left["total"]) == ("disk", typed["total"])
