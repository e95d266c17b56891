"""An editor by a channel: its unsaved texts are seen by agents, and outlive every sidecar."""

from __future__ import annotations

import sys

import pytest

from tests.channel.clients import crash, sidecars, status, total, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc")

MODE = 'customModes:\n  - {slug: a, name: "🔧 é", roleDefinition: "Works.", groups: [read, %s]}\n'


def at(line: int, start: int, end: int, text: str) -> dict:
    span = {"start": {"line": line, "character": start}, "end": {"line": line, "character": end}}
    return {"range": span, "text": text}


def test_agents_see_what_is_typed_but_not_saved_until_the_editor_leaves(
    start, edit, example_workspace, user_directory
):
    agent, editor = start(example_workspace), edit(example_workspace)
    agent.initialize()
    editor.initialize()
    editor.open("TODO.md", "# TODO\n- [ ] one\n- [ ] two\n")
    editor.shown("TODO.md")
    assert total(agent) == 2
    editor.change("TODO.md", 2, at(2, 0, 0, "- [ ] more\n"))
    until(lambda: total(agent) == 3)
    assert len(sidecars(user_directory)) == 1
    told = {each["face"] for each in status(example_workspace)["clients"]}
    assert told == {"mcp", "lsp"}
    read = agent.call("read_project_file", {"file_path": "TODO.md"})
    assert "more" in read["result"]["structuredContent"]["content"]
    assert editor.close() == 1
    until(lambda: total(agent) == 6)


def test_findings_come_back_by_themselves_after_a_crash(edit, tmp_path):
    editor = edit(tmp_path)
    editor.initialize()
    editor.open(".roomodes", MODE % "comand")
    editor.shown(".roomodes", "RM006")
    column = (MODE % "comand").splitlines()[1].index("comand") + 1  # the emoji counts twice
    editor.change(".roomodes", 2, at(1, column, column + 6, "command"))
    editor.shown(".roomodes")
    editor.change(".roomodes", 3, at(1, column, column + 7, "browsr"))
    assert editor.shown(".roomodes", "RM006")["version"] == 3
    crash(tmp_path)
    again = editor.shown(".roomodes", "RM006")
    assert again["version"] == 3
    [found] = [each for each in again["diagnostics"] if each["code"] == "RM006"]
    assert found["range"]["start"]["character"] == column
    editor.change(".roomodes", 4, at(1, column, column + 6, "edit"))
    assert editor.shown(".roomodes")["version"] == 4


def test_findings_in_closed_files_are_taken_back_at_a_crash_and_told_anew(edit, tmp_path):
    (tmp_path / ".roomodes").write_text(MODE % "comand")
    editor = edit(tmp_path)
    editor.initialize()
    told = editor.shown(".roomodes", "RM006")["diagnostics"]
    crash(tmp_path)
    assert editor.shown(".roomodes")["diagnostics"] == []
    assert editor.shown(".roomodes", "RM006")["diagnostics"] == told


def test_an_editor_that_pulls_is_asked_to_pull_again_after_a_crash(edit, tmp_path):
    editor = edit(tmp_path)
    editor.initialize(
        textDocument={"diagnostic": {}}, workspace={"diagnostics": {"refreshSupport": True}}
    )
    editor.open(".roomodes", MODE % "comand")
    pull = {"textDocument": {"uri": editor.uri(".roomodes")}}
    editor.send("textDocument/diagnostic", pull, 1)
    found = editor.receive(lambda m: m.get("id") == 1)["result"]["items"]
    assert "RM006" in {each["code"] for each in found}
    crash(tmp_path)
    asked = editor.receive(lambda m: m.get("method") == "workspace/diagnostic/refresh")
    assert asked["id"].startswith("sidecar:")
    editor.send("textDocument/diagnostic", pull, 2)
    assert editor.receive(lambda m: m.get("id") == 2)["result"]["items"] == found


def test_shutdown_and_exit_end_the_channel_with_0_and_exit_alone_with_1(edit, tmp_path):
    clean, abrupt = edit(tmp_path), edit(tmp_path)
    clean.initialize()
    abrupt.initialize()
    clean.send("shutdown", None, 1)
    assert clean.receive(lambda m: m.get("id") == 1)["result"] is None
    clean.send("exit")
    abrupt.send("exit")
    assert (clean.process.wait(60), abrupt.process.wait(60)) == (0, 1)


def test_two_editors_of_one_file_and_the_one_that_stays_is_heard(start, edit, example_workspace):
    agent, one, other = start(example_workspace), edit(example_workspace), edit(example_workspace)
    agent.initialize()
    for count, editor in ((1, one), (2, other)):
        editor.initialize()
        editor.open("TODO.md", "# TODO\n" + "- [ ] task\n" * count)
        until(lambda n=count: total(agent) == n)
    other.close()
    until(lambda: total(agent) == 1)
    one.close()
    until(lambda: total(agent) == 6)
