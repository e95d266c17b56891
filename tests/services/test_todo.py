"""The plan's status on the real plan."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.services.context import Context
from sidecar.services.todo import TodoStatus, get_todo_status
from sidecar.settings import Settings
from sidecar.workspace.workspace import Workspace


@pytest.fixture
def real(real_workspace: Path) -> Context:
    return Context(Workspace.open(real_workspace), Settings())


def status(context: Context, **arguments: object) -> TodoStatus:
    return get_todo_status.call(context, arguments)


def test_totals_count_the_whole_file_whatever_is_listed(real: Context):
    for arguments in ({}, {"include_completed": True}, {"search_pattern": "nothing at all"}):
        answer = status(real, **arguments)

        assert (answer.total, answer.completed, answer.pending) == (27, 9, 18)
        assert answer.completion_rate == 33.3
        assert [section.completed for section in answer.sections] == [2, 7, 0]


def test_open_tasks_are_listed_with_their_place_and_details(real: Context):
    answer = status(real)

    assert answer.matching == 18
    assert not any(task.completed for task in answer.todos)
    assert (answer.todos[1].line, answer.todos[1].section) == (82, "Strategic Feature Planning")
    assert len(answer.todos[1].details) == 3


def test_the_pattern_is_sought_in_text_and_details(real: Context):
    assert status(real, search_pattern="AZIMUTH").matching == 1
    assert status(real, search_pattern="^\\*\\*Spherical").matching == 2


def test_a_section_may_be_named_in_part_and_holds_its_sub_sections(real: Context):
    (real.workspace.root / "TODO.md").write_text("# A\n- [ ] a\n## B\n- [ ] b\n# C\n- [ ] c\n")

    assert [task.text for task in status(real, section="a").todos] == ["a", "b"]
    assert [task.text for task in status(real, section="# B").todos] == ["b"]
    with pytest.raises(SidecarError) as caught:
        status(real, section="nope")
    assert caught.value.code is ErrorCode.NOT_FOUND
    assert "A, B, C" in caught.value.hint


def test_pages_cover_every_task_once(real: Context):
    seen: list[int] = []
    cursor = None
    for _ in range(5):
        page = status(real, include_completed=True, limit=10, cursor=cursor)
        seen += [task.line for task in page.todos]
        cursor = page.next_cursor
        if cursor is None:
            break

    assert len(seen) == len(set(seen)) == 27


@pytest.mark.parametrize("arguments", [{"search_pattern": "("}, {"cursor": "x"}])
def test_what_cannot_be_applied_is_refused(real: Context, arguments: dict[str, str]):
    with pytest.raises(SidecarError) as caught:
        status(real, **arguments)

    assert caught.value.code is ErrorCode.INVALID


def test_a_hostile_pattern_answers(real: Context):
    (real.workspace.root / "TODO.md").write_text("- [ ] " + "a" * 41 + "!\n")
    started = time.monotonic()

    assert status(real, search_pattern="(a+)+$").matching == 0
    assert time.monotonic() - started < 10


def test_a_missing_plan_is_not_found(real: Context):
    (real.workspace.root / "TODO.md").unlink()
    with pytest.raises(SidecarError) as caught:
        status(real)

    assert caught.value.code is ErrorCode.NOT_FOUND


def test_unsaved_text_of_an_editor_is_what_is_read(real: Context):
    real.workspace.overlays.put("TODO.md", "- [ ] typed\n", 1)

    assert [task.text for task in status(real).todos] == ["typed"]
    assert status(real).source == "editor"
