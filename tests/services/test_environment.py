"""Syncing creates what is missing, repairs what is safe, and finds nothing more the second time."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta

import pytest

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.services.context import Context
from sidecar.services.delegation import DelegateTaskRequest, delegate_task
from sidecar.services.environment import (
    SyncEnvironmentRequest,
    SyncEnvironmentResult,
    sync_environment,
)
from sidecar.settings import Settings
from sidecar.workspace.workspace import Workspace

STATE = (".roo/schedules.json", "TODO.md", "task_timing.tsv", "persistent-memory.md")


def sync(context: Context, **more) -> SyncEnvironmentResult:
    return sync_environment(context, SyncEnvironmentRequest(**more))


def contents(context: Context) -> dict[str, bytes]:
    root = context.workspace.root
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and ".sidecar" not in path.parts
    }


@pytest.fixture
def bare(tmp_path, clock) -> Context:
    """A workspace in which nothing is yet."""
    folder = tmp_path / "bare"
    folder.mkdir()
    return Context(Workspace.open(folder), Settings(timezone="UTC"), lambda: clock)


def test_missing_state_files_are_created_and_have_no_findings(bare):
    result = sync(bare)
    assert result.success
    assert result.verified
    assert sorted(contents(bare)) == sorted(STATE)
    del result.components["config"]  # the test's settings are not those on disk
    assert not any(report.problems for report in result.components.values())


def test_a_second_run_changes_nothing(context):
    sync(context)
    after = contents(context)
    again = sync(context)
    assert not any(report.changed for report in again.components.values())
    assert contents(context) == after


def test_a_dry_run_tells_the_same_and_touches_nothing(context):
    (context.workspace.root / "TODO.md").unlink()
    before = contents(context)
    dry = sync(context, dry_run=True)
    assert contents(context) == before
    assert not (context.workspace.root / ".sidecar").exists()
    real = sync(context)
    told = {name: report.changed for name, report in dry.components.items()}
    assert {name: report.changed for name, report in real.components.items()} == told
    assert told["todo"] == ["TODO.md: created"]


def test_what_no_safe_fix_mends_is_listed_with_its_place(context):
    file = context.workspace.root / ".roo" / "schedules.json"
    file.write_text('{"schedules": [{"id": "1", "name": 5}]}')
    report = sync(context, target_components=["schedules"]).components["schedules"]
    assert report.problems
    assert all(each.startswith(".roo/schedules.json:") for each in report.problems)


def test_a_file_that_is_not_utf8_is_left_alone(context):
    file = context.workspace.root / "task_timing.tsv"
    file.write_bytes(file.read_bytes() + b"\xff\xfe")
    before = file.read_bytes()
    report = sync(context, target_components=["timing"]).components["timing"]
    assert file.read_bytes() == before
    assert "not UTF-8" in report.problems[0]


def test_a_repair_keeps_a_backup_of_what_was_there(context):
    file = context.workspace.root / "task_timing.tsv"
    file.write_text(file.read_text().partition("\n")[2])  # the header is gone
    before = file.read_bytes()
    report = sync(context, target_components=["timing"]).components["timing"]
    assert report.changed
    kept = context.workspace.backups.list("task_timing.tsv")[0]
    assert context.workspace.backups.read(kept) == before


def test_tasks_that_time_has_overtaken_are_moved_on(context):
    ask = DelegateTaskRequest(task_description="x", target_mode="code")
    task = delegate_task(context, ask)
    delegate_task(context, DelegateTaskRequest(action="claim"))
    moment = context.clock() + timedelta(minutes=11)
    later = replace(context, clock=lambda: moment)
    dry = sync(later, target_components=["queue"], dry_run=True).components["queue"]
    real = sync(later, target_components=["queue"]).components["queue"]
    assert dry.changed == real.changed
    assert task.task_id in real.changed[0]
    assert sync(later, target_components=["queue"]).components["queue"].changed == []


def test_a_task_whose_mode_is_gone_is_a_problem(context):
    ask = DelegateTaskRequest(task_description="x", target_mode="validation-unit")
    delegate_task(context, ask)
    (context.workspace.root / ".roomodes").unlink()
    report = sync(context, target_components=["queue"]).components["queue"]
    assert "`validation-unit`, which is gone" in report.problems[0]


def test_stale_temporary_files_are_pruned(context):
    stale = context.workspace.root / ".sidecar-0a1b.tmp"
    stale.write_text("x")
    old = (context.clock() - timedelta(hours=2)).timestamp()
    os.utime(stale, (old, old))
    report = sync(context, target_components=["temp"]).components["temp"]
    assert report.changed == [".sidecar-0a1b.tmp: removed"]
    assert not stale.exists()


def test_settings_that_are_not_taken_are_told(context):
    (context.workspace.root / "sidecar.toml").write_text('host = "0.0.0.0"\nnonsense = 1\n')
    report = sync(context, sync_type="config").components["config"]
    told = "\n".join(report.problems)
    assert "`host` is the user's to set" in told
    assert "no setting `nonsense`" in told


def test_an_unknown_component_is_refused_with_the_nearest(context):
    with pytest.raises(SidecarError) as refused:
        sync(context, target_components=["memroy"])
    assert refused.value.code is ErrorCode.INVALID
    assert "`memory`" in refused.value.hint
    with pytest.raises(SidecarError):
        sync(context, sync_type="modes", target_components=["todo"])


def test_a_file_open_with_unsaved_text_is_left_to_its_editor(context):
    path = "TODO.md"
    text = context.workspace.files.read(path).text
    context.workspace.overlays.put(path, text + "\n- [ ] unsaved")
    before = contents(context)[path]
    report = sync(context, target_components=["todo"]).components["todo"]
    assert "unsaved" in report.problems[0]
    assert contents(context)[path] == before
