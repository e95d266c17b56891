"""The memory on the real file: entries come in, none is lost, the budget holds."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.domain.memory import SECTIONS, parse
from sidecar.services.context import Context
from sidecar.services.memory import get_persistent_memory, update_persistent_memory
from sidecar.settings import Settings
from sidecar.workspace.workspace import Workspace

START = datetime(2025, 11, 2, 12, tzinfo=UTC)


class Clock:
    """A clock that goes on by a second with each look at it."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


@pytest.fixture
def real(real_workspace: Path) -> Context:
    return Context(Workspace.open(real_workspace), Settings(), Clock())


@pytest.fixture
def empty(tmp_path: Path) -> Context:
    (tmp_path / "empty").mkdir()
    return Context(Workspace.open(tmp_path / "empty"), Settings(memory_line_limit=40), Clock())


def write(context: Context, content: str, **arguments: object):
    return update_persistent_memory.call(
        context, {"section": "system_updates", "content": content} | arguments
    )


def text_of(context: Context) -> str:
    return (context.workspace.root / "persistent-memory.md").read_bytes().decode()


def archive_of(context: Context) -> str:
    folder = context.workspace.root / "persistent-memory.archive"
    return "".join(path.read_text() for path in sorted(folder.glob("*.md")))


def refused(code: ErrorCode, action) -> SidecarError:
    with pytest.raises(SidecarError) as caught:
        action()
    assert caught.value.code is code
    return caught.value


def test_an_entry_is_appended_at_the_end_of_its_section_and_nothing_else_changes(real: Context):
    before = text_of(real)
    answer = write(real, "found it", section="development_commands", category="X")
    after = text_of(real)
    first, last = answer.line_range

    assert after.split("\n")[first - 1 : last] == [
        "## [2025-11-02T12:00:01.000Z] [cli] - [X]",
        "- Finding: found it",
        f"<!-- sidecar:{answer.entry_id} -->",
    ]
    start = before.index("\n# System Updates")
    assert after.startswith(before[:start].rstrip())
    assert after.endswith(before[start:])
    assert answer.line_count == parse(after).line_count


def test_a_read_after_a_write_sees_it_first(real: Context):
    answer = write(real, "found it")
    found = get_persistent_memory.call(real, {"limit": 1})

    assert found.entries[0].entry_id == answer.entry_id
    assert found.headroom == 300 - answer.line_count


def test_the_budget_moves_the_oldest_generated_entries_to_the_archive(real: Context):
    ids = [write(real, f"entry {number}").entry_id for number in range(30)]
    text, archive = text_of(real), archive_of(real)

    assert parse(text).line_count <= 300
    for entry_id in ids:
        assert (text + archive).count(f"<!-- sidecar:{entry_id} -->") == 1
    assert ids[0] in archive
    assert ids[-1] in text
    # What people wrote stays while generated entries are left.
    assert "COMPREHENSIVE_COMMIT_AND_VERSION_CONTROL_SYNC" in text


def test_dated_entries_go_when_no_generated_one_is_left_and_a_backup_is_kept(real: Context):
    real = Context(real.workspace, Settings(memory_line_limit=200), real.clock)
    before = text_of(real)
    answer = write(real, "small")

    assert answer.line_count <= 200
    assert answer.archived_entries
    assert parse(text_of(real)).entry(answer.entry_id)
    lines = set((text_of(real) + archive_of(real)).split("\n"))
    assert set(before.split("\n")) <= lines
    assert list((real.workspace.root / ".sidecar").rglob("*"))


def test_it_never_refuses_for_ever(empty: Context):
    (empty.workspace.root / "persistent-memory.md").write_text("# Notes\n" + "- x\n" * 60)
    answer = write(empty, "still written")

    assert answer.success
    assert "nothing dated is left" in answer.note


def test_the_same_id_is_written_once_even_after_it_was_archived(empty: Context):
    assert write(empty, "x", entry_id="once").changed
    again = write(empty, "x", entry_id="once")
    for number in range(10):
        write(empty, f"y {number}")
    later = write(empty, "x", entry_id="once")

    assert not again.changed
    assert again.line_range is not None
    assert not later.changed
    assert "archived" in later.note
    assert (text_of(empty) + archive_of(empty)).count("sidecar:once ") == 1


def test_a_missing_file_and_section_are_made(empty: Context):
    write(empty, "x", section="System Updates & Status")
    write(empty, "y", section="implementation_patterns")

    assert [s.name for s in parse(text_of(empty)).sections] == [
        "implementation_patterns",
        "system_updates",
    ]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"section": "nope"}, ErrorCode.INVALID),
        ({"content": " \n"}, ErrorCode.INVALID),
        ({"content": "x\n" * 101}, ErrorCode.TOO_LARGE),
        ({"content": "x" * 60_000}, ErrorCode.TOO_LARGE),
        ({"entry_id": "a b"}, ErrorCode.INVALID),
        ({"entry_id": "a-->"}, ErrorCode.INVALID),
    ],
)
def test_what_cannot_be_an_entry_is_refused_before_anything_is_touched(
    real: Context, arguments: dict[str, str], code: ErrorCode
):
    before = text_of(real)
    refused(code, lambda: write(real, **({"content": "x"} | arguments)))

    assert text_of(real) == before


def test_sections_are_filtered_by_short_name_and_title(real: Context):
    for section in ("development_commands", "Development & Debug Commands"):
        found = get_persistent_memory.call(real, {"section": section})

        assert found.matching == 5
        assert {entry.section for entry in found.entries} == {"Development & Debug Commands"}
    refused(ErrorCode.INVALID, lambda: get_persistent_memory.call(real, {"section": "notes"}))


def test_a_search_answers_entries_with_their_lines(real: Context):
    (entry,) = get_persistent_memory.call(real, {"search_pattern": "venv_setup\\.md"}).entries
    lines = text_of(real).split("\n")

    assert entry.category == "PYTHON_VERSION_COMPATIBILITY_RESOLUTION"
    assert lines[entry.first_line - 1].endswith(f"[{entry.category}]")
    assert any("venv_setup.md" in line for line in lines[entry.first_line : entry.last_line])


def test_since_leaves_out_what_is_older_or_undated(real: Context):
    assert get_persistent_memory.call(real, {"since": "2025-11-01T07:00:00Z"}).matching == 3
    assert get_persistent_memory.call(real, {"since": "2025-11-02"}).matching == 0
    refused(ErrorCode.INVALID, lambda: get_persistent_memory.call(real, {"since": "soon"}))


def test_pages_are_newest_first_and_cover_every_entry_once(real: Context):
    seen: list[int] = []
    times: list[str] = []
    cursor = None
    for _ in range(10):
        page = get_persistent_memory.call(real, {"limit": 4, "cursor": cursor})
        seen += [entry.first_line for entry in page.entries]
        times += [entry.timestamp for entry in page.entries if entry.timestamp]
        cursor = page.next_cursor
        if cursor is None:
            break

    assert len(seen) == len(set(seen)) == page.total_entries == 25
    assert times == sorted(times, reverse=True)


def test_metadata_comes_on_demand(real: Context):
    assert get_persistent_memory.call(real, {}).metadata is None
    data = get_persistent_memory.call(real, {"include_metadata": True}).metadata
    assert data["size"] == 24050


CHILD = """
import json, sys
from pathlib import Path
from sidecar.services.context import Context
from sidecar.services.memory_log import append_memory
from sidecar.settings import Settings
from sidecar.workspace.workspace import Workspace
context = Context(Workspace.open(Path(sys.argv[1])), Settings(memory_line_limit=280))
sections = ["implementation_patterns", "development_commands", "system_updates"]
ids = []
for number in range(8):
    text = f"process {sys.argv[2]}, entry {number}"
    ids.append(append_memory(context, sections[number % 3], text).entry_id)
print(json.dumps(ids))
"""


@pytest.mark.faults
def test_several_processes_lose_no_entry_and_tear_none(real: Context):
    before = text_of(real)
    root = str(real.workspace.root)
    children = [
        subprocess.Popen(
            [sys.executable, "-c", CHILD, root, str(number)], stdout=subprocess.PIPE, text=True
        )
        for number in range(3)
    ]
    ids = [each for child in children for each in json.loads(child.communicate(timeout=120)[0])]
    text, archive = text_of(real), archive_of(real)
    file = parse(text)

    assert len(ids) == len(set(ids)) == 24
    for entry_id in ids:
        assert (text + archive).count(f"<!-- sidecar:{entry_id} -->") == 1
    assert [section.name for section in file.sections] == list(SECTIONS)
    assert file.line_count <= 280
    assert set(before.split("\n")) <= set((text + archive).split("\n"))
