"""An agent's tools and a file that is open with unsaved text: the editor changes it, or nobody."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.channel import clients
from tests.channel.clients import crash, sidecar, status, until
from tests.channel.typing_editor import TypingEditor
from tests.faces.wire import Wire

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc")

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "workspace"
FILE = ".roo/schedules.json"
LOOP = "1745000000001"
LONGER = {"action": "update", "schedule_id": LOOP, "update_fields": {"timeInterval": "25"}}

NEW = {"name": "n", "mode": "code", "taskInstructions": "t", "timeInterval": "1", "timeUnit": "day"}


class Desk:
    """A workspace with an agent; what is on its disk is remembered."""

    def __init__(self, root: Path, agent: Wire) -> None:
        self.root = root
        self.agent = agent
        self.saved = (root / FILE).read_text("utf-8")
        # An emoji before the field, on the same line: columns count UTF-16 units.
        self.typed = self.saved.replace('"timeInterval"', '"note": "🔧é", "timeInterval"', 1)

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """A tool's result."""
        return self.agent.call(tool, arguments)["result"]

    def changed(self, **arguments: Any) -> dict[str, Any]:
        """The structured answer of the change of the schedule, which must not be refused."""
        result = self.call("manage_schedules", **{**LONGER, **arguments})
        assert not result.get("isError"), result
        return result["structuredContent"]

    def refused(self, tool: str, **arguments: Any) -> str:
        """What a call is told that must be refused with a conflict."""
        result = self.call(tool, **arguments)
        assert result["isError"], result
        text = result["content"][0]["text"]
        assert text.startswith("E_CONFLICT"), text
        return text

    def sees(self, text: str) -> bool:
        """Whether tools see this text of the schedules file."""
        read = self.call("read_project_file", file_path=FILE)["structuredContent"]
        return bool(read["content"] == text)

    def is_untouched(self) -> bool:
        """Whether the disk still holds what it held."""
        return (self.root / FILE).read_text("utf-8") == self.saved


@pytest.fixture(scope="module", autouse=True)
def user_directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One user, so one sidecar, for all tests: starting it takes longer than they do."""
    folder = tmp_path_factory.mktemp("user")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIDECAR_HOME", str(folder))
        yield folder


@pytest.fixture(scope="module")
def agent(user_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    root = shutil.copytree(EXAMPLE, tmp_path_factory.mktemp("open") / "workspace")
    wire = clients.agent(root)
    wire.initialize()
    yield Desk(root, wire)
    wire.kill()
    sidecar("stop", root=root)


@pytest.fixture
def desk(agent: Desk) -> Desk:
    """The workspace as it was at first, with the agent and no editor."""
    until(lambda: {each["face"] for each in status(agent.root)["clients"]} == {"mcp"})
    shutil.copytree(EXAMPLE, agent.root, dirs_exist_ok=True)
    return agent


@pytest.fixture
def sit(desk: Desk) -> Iterator[Callable[..., TypingEditor]]:
    """Starts editors that have the schedules file open with unsaved text."""
    started: list[TypingEditor] = []

    def begin(text: str | None = None, **capabilities: Any) -> TypingEditor:
        editor = TypingEditor(desk.root)
        started.append(editor)
        editor.begin(**capabilities)
        typed = desk.typed if text is None else text
        editor.type(FILE, desk.saved)
        editor.type(FILE, typed)
        until(lambda: desk.sees(typed))
        return editor

    yield begin
    for editor in started:
        editor.kill()


def test_an_agents_change_arrives_in_the_editor_and_the_disk_stays(desk, sit):
    editor = sit()
    answer = desk.changed()
    assert answer["stored"] == "editor"
    assert "backup_id" not in answer
    [asked] = editor.asked
    [change] = asked["edit"]["documentChanges"]
    assert change["textDocument"] == {"uri": editor.uri(FILE), "version": 2}
    [edit] = change["edits"]
    line = desk.typed[: desk.typed.index('"10"')].count("\n")
    before = desk.typed.split("\n")[line].partition('"10"')[0]
    column = len(before.encode("utf-16-le")) // 2 + 1
    assert "🔧" in before
    assert edit["range"]["start"] == {"line": line, "character": column}
    assert edit["range"]["end"] == {"line": line, "character": column + 2}
    assert edit["newText"] == "25"
    assert asked["label"].startswith("manage_schedules by ")
    assert editor.texts[FILE] == desk.typed.replace('"10"', '"25"', 1)
    assert desk.is_untouched()


def test_the_answers_text_says_that_nothing_is_durable_yet(desk, sit):
    sit()
    text = desk.call("manage_schedules", **LONGER)["content"][0]["text"]
    assert "in the editor, not saved" in text


def test_the_change_is_seen_by_the_next_call_and_gone_when_the_person_undoes_it(desk, sit):
    editor = sit()
    etag = desk.changed()["etag"]
    status = desk.call("get_schedule_status", schedule_id=LOOP)["structuredContent"]
    assert (status["source"], status["etag"]) == ("editor", etag)
    assert status["schedules"][0]["timeInterval"] == "25"
    editor.undo(FILE)
    assert editor.texts[FILE] == desk.typed
    until(lambda: desk.sees(desk.typed))
    assert "has changed" in desk.refused("manage_schedules", **LONGER, if_match=etag)


def test_an_etag_of_the_disk_is_none_of_the_editors_text(desk, sit):
    etag = desk.call("read_project_file", file_path=FILE)["structuredContent"]["etag"]
    editor = sit()
    desk.refused("manage_schedules", **LONGER, if_match=etag)
    desk.refused("write_project_file", file_path=FILE, content=desk.saved, if_match=etag)
    assert editor.asked == []


def test_an_editor_that_refuses_keeps_its_text_and_the_disk_its_own(desk, sit):
    editor = sit()
    editor.before = lambda: "refuses"
    assert "refused" in desk.refused("manage_schedules", **LONGER)
    assert editor.texts[FILE] == desk.typed
    assert len(editor.asked) == 1
    assert desk.is_untouched()


def test_a_change_that_meets_typing_is_made_upon_what_was_typed(desk, sit):
    editor = sit()
    faster = desk.typed.replace("🔧é", "🔧é typed meanwhile", 1)
    typing = iter([faster])

    def types_first() -> None:
        if text := next(typing, None):
            editor.type(FILE, text)

    editor.before = types_first
    assert desk.changed()["stored"] == "editor"
    assert [a["edit"]["documentChanges"][0]["textDocument"]["version"] for a in editor.asked] == [
        2,
        3,
    ]
    assert editor.texts[FILE] == faster.replace('"10"', '"25"', 1)
    assert desk.is_untouched()


def test_what_was_read_before_somebody_typed_is_not_written_over(desk, sit):
    editor = sit()
    faster = desk.typed.replace("🔧é", "🔧é typed meanwhile", 1)
    editor.before = lambda: editor.type(FILE, faster)
    whole = desk.typed.replace('"10"', '"30"', 1)
    desk.refused("write_project_file", file_path=FILE, content=whole)
    assert editor.texts[FILE] == faster
    assert desk.is_untouched()


def test_an_editor_that_only_says_that_it_has_changed_its_text_is_not_believed(desk, sit):
    editor = sit()
    editor.before = lambda: "lies"
    assert "cannot be told" in desk.refused("manage_schedules", **LONGER)
    assert len(editor.asked) == 1
    assert desk.is_untouched()


def test_an_editor_that_dies_at_that_moment_leaves_the_disk_alone(desk, sit):
    editor = sit()
    editor.before = lambda: "dies"
    assert "gone" in desk.refused("manage_schedules", **LONGER)
    assert desk.is_untouched()
    editor.before = lambda: None
    assert desk.changed()["stored"] == "disk"


def test_an_editor_that_does_not_answer_holds_nobody_up_and_is_asked_again(desk, sit):
    editor = sit()
    editor.before = lambda: "is silent"
    assert "has not answered" in desk.refused("manage_schedules", **LONGER)
    assert desk.is_untouched()
    editor.answer_late()
    editor.before = lambda: None
    assert desk.changed()["stored"] == "editor"
    assert editor.texts[FILE] == desk.typed.replace('"10"', '"25"', 1)


def test_an_editor_that_takes_no_changes_is_left_alone(desk, sit):
    editor = sit(workspace={})
    assert "Save it there" in desk.refused("manage_schedules", **LONGER)
    assert editor.asked == []
    assert desk.is_untouched()


def test_an_editor_that_knows_no_versions_gets_plain_changes(desk, sit):
    editor = sit(workspace={"applyEdit": True})
    assert desk.changed()["stored"] == "editor"
    assert list(editor.asked[0]["edit"]) == ["changes"]
    assert editor.texts[FILE] == desk.typed.replace('"10"', '"25"', 1)


def test_of_two_editors_the_one_that_has_unsaved_text_is_asked(desk, sit):
    typing = sit()
    reading = TypingEditor(desk.root)
    try:
        reading.begin()
        reading.type(FILE, desk.saved)
        reading.shown(FILE, "SC004")
        assert desk.sees(desk.typed)
        assert desk.changed()["stored"] == "editor"
    finally:
        reading.kill()
    assert reading.asked == []
    assert typing.texts[FILE] == desk.typed.replace('"10"', '"25"', 1)
    assert desk.is_untouched()


def test_of_two_editors_with_unsaved_texts_the_last_typed_one_is_asked(desk, sit):
    first = sit()
    second = sit(desk.typed.replace("🔧é", "second", 1))
    assert desk.changed()["stored"] == "editor"
    assert (len(first.asked), len(second.asked)) == (0, 1)
    assert first.texts[FILE] == desk.typed


def test_a_saved_file_is_changed_on_the_disk_though_it_is_open(desk, sit):
    editor = sit()
    editor.type(FILE, desk.saved)
    until(lambda: desk.sees(desk.saved))
    assert desk.changed()["stored"] == "disk"
    assert editor.asked == []
    assert not desk.is_untouched()


def test_writing_appending_and_restoring_reach_the_editor_and_leave_no_backup(desk, sit):
    before = (desk.root / "TODO.md").read_text("utf-8")
    kept = desk.call("backup_file", file_path="TODO.md")["structuredContent"]["backup_id"]
    editor = sit()
    editor.type("TODO.md", before)
    editor.type("TODO.md", before + "- [ ] typed\n")
    read = {"file_path": "TODO.md"}
    until(lambda: "typed" in desk.call("read_project_file", **read)["content"][0]["text"])
    added = desk.call("write_project_file", **read, content="- [ ] added\n", append=True)
    assert added["structuredContent"]["stored"] == "editor"
    assert editor.texts["TODO.md"] == before + "- [ ] typed\n- [ ] added\n"
    written = desk.call("write_project_file", **read, content="# TODO\n- [ ] new\n")
    assert written["structuredContent"]["operation"] == "replaced"
    assert editor.texts["TODO.md"] == "# TODO\n- [ ] new\n"
    back = desk.call("restore_file", **read, backup_path=kept)["structuredContent"]
    assert (back["stored"], back["operation"]) == ("editor", "restored")
    assert editor.texts["TODO.md"] == before
    assert (desk.root / "TODO.md").read_text("utf-8") == before
    listed = desk.call("restore_file", **read, list=True)["structuredContent"]
    assert [each["id"] for each in listed["backups"]] == [kept]


def test_safe_repairs_of_a_sync_reach_the_editor(desk, sit):
    before = (desk.root / "TODO.md").read_text("utf-8")
    editor = sit()
    editor.type("TODO.md", before)
    editor.type("TODO.md", before + "- [] typed\n")
    read = {"file_path": "TODO.md"}
    until(lambda: "typed" in desk.call("read_project_file", **read)["content"][0]["text"])
    done = desk.call("sync_environment", target_components=["todo"])["structuredContent"]
    changed = done["components"]["todo"]["changed"]
    assert any("in the editor, not saved" in each for each in changed)
    assert editor.texts["TODO.md"].endswith("- [ ] typed\n")
    assert (desk.root / "TODO.md").read_text("utf-8") == before


def test_a_dry_run_asks_no_editor(desk, sit):
    editor = sit()
    answer = desk.changed(dry_run=True)
    assert answer["after"] == {"timeInterval": "25"}
    call = {"file_path": FILE, "content": desk.saved, "dry_run": True}
    assert not desk.call("write_project_file", **call).get("isError")
    assert editor.asked == []
    assert editor.texts[FILE] == desk.typed


def test_logs_go_to_the_disk_whatever_is_typed_in_them(desk, sit):
    editor = sit()
    log = desk.root / "task_timing.tsv"
    before = log.read_text("utf-8")
    editor.type(log.name, before)
    editor.type(log.name, before + "typed")
    begun = desk.call("track_task_time", task_id="t1", task_description="Look", start_tracking=True)
    assert not begun.get("isError"), begun
    ended = desk.call(
        "track_task_time", task_id="t1", task_description="Look", start_tracking=False
    )
    assert not ended.get("isError"), ended
    assert "t1" in log.read_text("utf-8")
    assert editor.asked == []


def test_a_sidecar_that_is_new_after_a_crash_asks_the_editor_as_before(desk, sit):
    editor = sit()
    crash(desk.root)
    until(lambda: {"mcp", "lsp"} <= {each["face"] for each in status(desk.root)["clients"]})
    until(lambda: desk.sees(desk.typed))
    assert desk.changed()["stored"] == "editor"
    assert editor.texts[FILE] == desk.typed.replace('"10"', '"25"', 1)
    assert desk.is_untouched()


def test_nothing_typed_and_no_change_is_lost_when_both_are_made_at_once(desk, sit):
    """Each accepted change is in the text, each typed word too; a refused one says so."""
    editor = sit()
    words = [f"w{number}" for number in range(40)]
    done = threading.Event()

    def types() -> None:
        for word in words:
            with editor._guard:
                text = editor.texts[FILE].replace('"note": "', f'"note": "{word} ', 1)
                editor.type(FILE, text)
            done.wait(0.02)

    typist = threading.Thread(target=types)
    typist.start()
    accepted, refused = [], 0
    for number in range(20):
        data = {"id": f"x{number}", **NEW}
        result = desk.call("manage_schedules", action="create", schedule_data=data)
        if result.get("isError"):
            assert result["content"][0]["text"].startswith("E_CONFLICT"), result
            refused += 1
        else:
            accepted.append(f"x{number}")
    typist.join()
    text = editor.texts[FILE]
    assert all(f"{word} " in text for word in words)
    assert all(f'"{name}"' in text for name in accepted)
    assert len(accepted) + refused == 20
    assert accepted
    json.loads(text)
    assert desk.is_untouched()


def test_an_escalation_is_shown_in_every_editor_and_a_tried_one_in_none(desk, sit):
    editors = [sit(), sit("second")]
    failed = {"operation": "deploy", "error_context": {"error": "no route"}}
    failed |= {"recovery_strategy": "escalate", "create_checkpoint": False}
    desk.call("error_recovery", **failed, dry_run=True)
    done = desk.call("error_recovery", **failed)["structuredContent"]
    for editor in editors:
        until(lambda e=editor: e.told)
        [told] = editor.told
        assert "deploy failed 1 times in a row and is stopped: no route" in told
        assert done["escalation_id"] in told


def test_a_sidecar_that_a_person_serves_asks_the_editor_as_well(desk, sit):
    editor = sit()
    command = [*clients.SIDECAR, "serve", "--port", "0", "--workspace", str(desk.root)]
    serving = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        until(lambda: status(desk.root).get("pid") == serving.pid)
        until(lambda: {"mcp", "lsp"} <= {each["face"] for each in status(desk.root)["clients"]})
        until(lambda: desk.sees(desk.typed))
        assert desk.changed()["stored"] == "editor"
        assert editor.texts[FILE] == desk.typed.replace('"10"', '"25"', 1)
        assert desk.is_untouched()
        editor.kill()
    finally:
        serving.terminate()
        serving.wait()
