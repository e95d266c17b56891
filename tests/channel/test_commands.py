"""A person's commands beside an editor with unsaved text: what they see, and what they change."""

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

from sidecar.channel import seat, unix
from sidecar.channel.frames import first_line, line
from sidecar.channel.place import place_of
from sidecar.workspace.workspace import Workspace
from tests.channel.clients import SIDECAR, crash, processes, sidecar, status, until
from tests.channel.typing_editor import TypingEditor
from tests.faces.wire import PATIENCE

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc")

FILE = ".roo/schedules.json"
LOOP = "1745000000001"
LONGER = {"action": "update", "schedule_id": LOOP, "update_fields": {"timeInterval": "25"}}
PLAN = "TODO.md"


def call(root: Path, tool: str, *options: str, **arguments: Any) -> dict[str, Any]:
    """What `sidecar call` prints."""
    return json.loads(sidecar("call", tool, json.dumps(arguments), *options, root=root).stdout)


def seen(root: Path, name: str) -> str:
    """A file's text as tools see it."""
    return str(call(root, "read_project_file", file_path=name)["content"])


@pytest.fixture
def sit(example_workspace: Path) -> Iterator[Callable[..., TypingEditor]]:
    """Starts an editor in a folder, which has a file open with unsaved text."""
    started: list[TypingEditor] = []

    def begin(name: str, typed: str, root: Path = example_workspace) -> TypingEditor:
        editor = TypingEditor(root)
        started.append(editor)
        editor.begin()
        editor.type(name, (root / name).read_text("utf-8"))
        editor.type(name, typed)
        until(lambda: seen(root, name) == typed)
        return editor

    yield begin
    for editor in started:
        editor.kill()


@pytest.fixture
def typed(example_workspace: Path) -> str:
    """The schedules as they are being typed."""
    return (example_workspace / FILE).read_text("utf-8").replace('"10"', '"11"', 1)


def test_a_call_answers_from_what_is_typed_and_says_so(sit, typed, example_workspace):
    sit(FILE, typed)
    told = call(example_workspace, "get_schedule_status", schedule_id=LOOP)
    assert told["source"] == "editor"
    assert told["schedules"][0]["timeInterval"] == "11"


def test_a_call_changes_an_open_unsaved_file_by_its_editor(sit, typed, example_workspace):
    saved = (example_workspace / FILE).read_text("utf-8")
    editor = sit(FILE, typed)
    assert call(example_workspace, "manage_schedules", **LONGER)["stored"] == "editor"
    assert editor.texts[FILE] == typed.replace('"11"', '"25"', 1)
    assert (example_workspace / FILE).read_text("utf-8") == saved
    [asked] = editor.asked
    assert asked["label"] == "manage_schedules by cli"


def test_a_call_starts_no_sidecar(example_workspace, user_directory):
    assert call(example_workspace, "get_todo_status")["success"] is True
    assert not processes(user_directory)


@pytest.mark.parametrize("options", [(), ("--text",)])
@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("get_todo_status", {"include_completed": True}),
        ("read_project_file", {"file_path": "TODO.md", "limit": 2}),
        ("get_mode_capabilities", {}),
        ("get_todo_statu", {}),
        ("get_todo_status", {"limt": 1}),
        ("read_project_file", {"file_path": "../x"}),
    ],
)
def test_a_call_has_the_same_form_and_code_with_and_without_a_sidecar(
    start, example_workspace, tool, arguments, options
):
    words = ("call", tool, json.dumps(arguments), *options)
    alone = sidecar(*words, root=example_workspace)
    agent = start(example_workspace)
    agent.initialize()
    until(lambda: status(example_workspace)["clients"])
    shared = sidecar(*words, root=example_workspace)
    assert (alone.returncode, alone.stderr) == (shared.returncode, shared.stderr)
    assert _untimed(alone.stdout) == _untimed(shared.stdout)


@pytest.mark.parametrize(
    "arguments",
    ['{"limit": NaN}', '{"limit": 1e999}', r'{"limit": "\ud800"}', '{"limit": ' + "[" * 20_000],
)
@pytest.mark.parametrize("shared", [False, True])
def test_arguments_that_no_sidecar_can_read_are_refused_at_once(
    start, example_workspace, arguments, shared
):
    if shared:
        start(example_workspace).initialize()
        until(lambda: status(example_workspace)["clients"])
    told = sidecar("call", "get_todo_status", arguments, root=example_workspace)
    assert (told.returncode, told.stderr) == (1, "")
    assert json.loads(told.stdout)["error_code"] == "E_INVALID"


def _untimed(told: str) -> Any:
    try:
        value = json.loads(told)
    except ValueError:
        return told
    return {**value, "timestamp": None}


@pytest.mark.parametrize("shared", [False, True])
def test_a_call_of_a_runs_agent_is_kept_as_the_runs_own(
    start, example_workspace, monkeypatch, shared
):
    if shared:
        start(example_workspace).initialize()
        until(lambda: status(example_workspace)["clients"])
    monkeypatch.setenv("SIDECAR_RUN_ID", "the-run")
    done = call(example_workspace, "write_project_file", file_path="a.txt", content="a")
    assert done["operation"] == "created"
    [entry] = Workspace.open(example_workspace).journal.entries()
    assert (entry.run, entry.client) == ("the-run", "cli")


def test_a_call_whose_sidecar_dies_meanwhile_says_that_the_change_may_be_made(
    sit, typed, example_workspace
):
    editor = sit(FILE, typed)
    editor.before = lambda: "is silent"
    asking = _calling(example_workspace)
    until(lambda: editor.asked)
    crash(example_workspace)
    told = json.loads(asking.communicate(timeout=PATIENCE)[0])
    assert asking.returncode == 1
    assert (told["success"], told["error_code"]) == (False, "E_UNAVAILABLE")
    assert "Read the state" in told["hint"]


def test_a_person_may_stop_a_sidecar_that_gives_way_only_once_all_is_answered(
    sit, typed, example_workspace
):
    editor = sit(FILE, typed)
    editor.before = lambda: "is silent"
    asking = _calling(example_workspace)
    until(lambda: editor.asked)
    place = place_of(str(example_workspace))
    newcomer = seat.ask(place, seat.greeting("takeover", place))
    assert newcomer is not None
    until(lambda: status(example_workspace)["leaving"] == "moved")
    ended = sidecar("stop", root=example_workspace)
    assert ended.stdout == "The sidecar has ended.\n"
    told = json.loads(asking.communicate(timeout=PATIENCE)[0])
    assert told["error_code"] == "E_UNAVAILABLE"


def _calling(root: Path) -> subprocess.Popen[str]:
    words = [*SIDECAR, "call", "manage_schedules", json.dumps(LONGER), "--workspace", str(root)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True)


def test_a_call_of_another_version_is_answered_and_drives_no_sidecar_away(
    sit, typed, example_workspace
):
    sit(FILE, typed)
    before = status(example_workspace)["pid"]
    other = "import sidecar; sidecar.__version__ = '99.0'; from sidecar.cli.main import main;"
    words = ["call", "get_schedule_status", "--workspace", str(example_workspace)]
    command = [sys.executable, "-P", "-c", f"{other} main()", *words]
    answer = subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE)
    assert json.loads(answer.stdout)["source"] == "editor"
    after = status(example_workspace)
    assert (after["pid"], after["leaving"]) == (before, None)


def test_a_sidecar_that_takes_no_calls_is_named_and_the_call_answered_without_it(example_workspace):
    place = place_of(str(example_workspace))
    lock = seat.take(place)
    with unix.listen(place) as listener:
        threading.Thread(target=_refusing, args=(listener,), daemon=True).start()
        answer = sidecar("call", "get_todo_status", root=example_workspace)
    assert lock is not None
    assert answer.returncode == 0
    assert json.loads(answer.stdout)["success"] is True
    assert answer.stderr == (
        "sidecar: its sidecar was not asked, so only saved text is seen: Start it anew.\n"
    )


def _refusing(listener: Any) -> None:
    connection, _ = listener.accept()
    first_line(connection)
    connection.sendall(line({"refused": "Start it anew."}))


def test_a_file_with_unsaved_text_is_not_fixed_under_its_editor(sit, example_workspace):
    saved = (example_workspace / PLAN).read_text("utf-8") + "- [] saved\n"
    (example_workspace / PLAN).write_text(saved, "utf-8")
    editor = sit(PLAN, saved + "- [ ] typed\n")
    path = str(example_workspace / PLAN)
    answer = sidecar("fix", path, root=example_workspace)
    assert answer.returncode == 2
    assert f"{path}: not fixed: It is open in an editor with unsaved text. Save it" in answer.stderr
    assert (example_workspace / PLAN).read_text("utf-8") == saved
    assert editor.asked == []
    assert "+- [ ] saved" in sidecar("fix", "--diff", path, root=example_workspace).stdout

    editor.type(PLAN, saved)
    until(lambda: seen(example_workspace, PLAN) == saved)
    answer = sidecar("fix", path, root=example_workspace)
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "- [ ] saved\n" in (example_workspace / PLAN).read_text("utf-8")


def test_an_editor_of_a_folder_above_keeps_its_unsaved_text_too(sit, example_workspace):
    inner = example_workspace / "inner"
    inner.mkdir()
    shutil.copyfile(example_workspace / PLAN, inner / PLAN)
    saved = (inner / PLAN).read_text("utf-8") + "- [] saved\n"
    (inner / PLAN).write_text(saved, "utf-8")
    sit(f"inner/{PLAN}", saved + "- [ ] typed\n")
    answer = sidecar("fix", str(inner), root=example_workspace)
    assert answer.returncode == 2
    assert "unsaved text" in answer.stderr
    assert (inner / PLAN).read_text("utf-8") == saved
