"""Editors and agents of one workspace watch it together, and agents hear of what is typed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.channel.clients import SIDECAR, status, until
from tests.channel.typing_editor import TypingEditor
from tests.faces.wire import Wire

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc")

PLAN = "sidecar://todo"
UPDATED = {
    "jsonrpc": "2.0",
    "method": "notifications/resources/updated",
    "params": {"uri": PLAN},
}


def observers(process: int) -> int:
    """How many observers a process has: each has an inotify instance of its own."""
    found = 0
    for descriptor in Path(f"/proc/{process}/fd").iterdir():
        try:
            found += descriptor.readlink() == Path("anon_inode:inotify")
        except FileNotFoundError:
            continue
    return found


def subscribe(agent: Wire) -> None:
    agent.initialize()
    assert agent.request("resources/subscribe", {"uri": PLAN})["result"] == {}


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
    agents[0].initialize()
    process = until(lambda: status(example_workspace).get("pid"))
    assert observers(process) == 0
    for agent in agents:
        subscribe(agent)
        assert observers(process) == 1
    for editor in editors:
        editor.begin()
        editor.shown(".roo/schedules.json", "SC004")
        assert observers(process) == 1
    (example_workspace / "TODO.md").write_text("# TODO\n- [] new\n")
    for agent in agents:
        assert agent.receive() == UPDATED
    for editor in editors:
        editor.shown("TODO.md", "TD003")
        editor.close()
    until(lambda: len(status(example_workspace)["clients"]) == 2)
    assert observers(process) == 1
    for agent in agents:
        assert agent.request("resources/unsubscribe", {"uri": PLAN})["result"] == {}
    until(lambda: observers(process) == 0)


def test_who_serves_a_workspace_has_one_observer_for_itself_and_all_clients(
    start, editors, example_workspace
):
    command = [*SIDECAR, "serve", "--port", "0", "--workspace", str(example_workspace)]
    serving = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        until(lambda: status(example_workspace).get("pid") == serving.pid)
        until(lambda: observers(serving.pid))
        for editor in editors:
            editor.begin()
            editor.shown(".roo/schedules.json", "SC004")
        for agent in [start(example_workspace) for _ in range(2)]:
            subscribe(agent)
        assert observers(serving.pid) == 1
    finally:
        serving.terminate()
        serving.wait()


def test_a_subscriber_is_told_whenever_what_it_would_read_has_changed(
    start, editors, example_workspace
):
    agent, editor = start(example_workspace), editors[0]
    file = example_workspace / "TODO.md"
    saved = file.read_text("utf-8")
    subscribe(agent)
    before = plan(agent)
    editor.begin()
    editor.type("TODO.md", saved)
    editor.type("TODO.md", saved + "\n- [ ] Typed, not saved\n")
    assert agent.receive() == UPDATED
    typed = plan(agent)
    assert (before["source"], typed["source"]) == ("disk", "editor")
    assert typed["total"] == before["total"] + 1
    file.write_text(editor.texts["TODO.md"], "utf-8")
    assert agent.receive() == UPDATED
    kept = plan(agent)
    assert (kept["source"], kept["total"]) == ("disk", typed["total"])
    editor.type("TODO.md", saved)
    assert agent.receive() == UPDATED
    assert plan(agent)["total"] == before["total"]
    # The editor leaves without saving: the disk speaks again.
    editor.kill()
    assert agent.receive() == UPDATED
    left = plan(agent)
    assert (left["source"], left["total"]) == ("disk", typed["total"])
