"""The system's status is looked up: each figure agrees with what lies on disk and in the store."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import timedelta

from sidecar.services.calling import called
from sidecar.services.context import Context
from sidecar.services.delegation import DelegateTaskRequest, delegate_task
from sidecar.services.recovery import error_recovery
from sidecar.services.status import SystemStatusRequest, SystemStatusResult, get_system_status
from sidecar.services.timed_tasks import start_task
from sidecar.services.todo import get_todo_status
from sidecar.workspace.workspace import Workspace


def status(context: Context, **more) -> SystemStatusResult:
    return get_system_status(context, SystemStatusRequest(**more))


def test_every_state_file_is_measured(context):
    files = {each.path: each for each in status(context).files}
    root = context.workspace.root
    assert set(files) >= {".roomodes", "TODO.md", "task_timing.tsv"}
    for path, health in files.items():
        assert health.size == (root / path).stat().st_size


def test_a_file_that_the_product_does_not_load_makes_it_unhealthy(context):
    file = context.workspace.root / ".roomodes"
    file.write_text(file.read_text().replace("customModes:", "customModes: [\n", 1))
    report = status(context)
    assert report.status == "unhealthy"
    assert any("loads nothing of .roomodes" in reason for reason in report.reasons)


def test_missing_files_are_told_and_only_degrade(tmp_path, clock, context):
    folder = tmp_path / "bare"
    folder.mkdir()
    report = status(replace(context, workspace=Workspace.open(folder)))
    assert report.status == "degraded"
    assert {each.problem for each in report.files} == {"missing"}
    assert not list(folder.iterdir())


def test_without_anything_to_look_at_it_is_healthy(context):
    report = status(
        context,
        include_performance=False,
        include_file_health=False,
        include_orchestrator_status=False,
    )
    assert (report.status, report.reasons, report.checks) == ("healthy", [], [])
    assert report.files is report.orchestrator is report.performance is None


def test_open_and_overdue_tasks_are_counted(context):
    before = status(context).orchestrator["timed_tasks"]
    start_task(context, "long")
    now = status(context).orchestrator["timed_tasks"]
    assert now["open"] == before["open"] + 1
    moment = context.clock() + timedelta(hours=2)
    later = status(replace(context, clock=lambda: moment))
    assert later.orchestrator["timed_tasks"]["overdue"] >= 1
    assert any("over their limit" in reason for reason in later.reasons)


def test_the_queue_and_blocked_operations_are_told(context):
    delegate_task(context, DelegateTaskRequest(task_description="x", target_mode="code"))
    stop = {"operation": "deploy", "error_context": {"error": "no"}, "create_checkpoint": False}
    called(error_recovery, context, stop | {"recovery_strategy": "escalate"})
    report = status(context)
    assert report.orchestrator["queue"] == {"queued": 1}
    assert report.orchestrator["failures"] == {"deploy": 1}
    assert report.orchestrator["escalations"] == 1
    assert any("`deploy` is blocked" in reason for reason in report.reasons)


def test_calls_are_counted_with_their_percentiles(context):
    for _ in range(3):
        called(get_todo_status, context, {})
    figures = status(context).performance["tools"]["get_todo_status"]
    assert (figures["calls"], figures["failures"]) == (3, 0)
    assert 0 < figures["p50_ms"] <= figures["p95_ms"]


def test_external_programs_are_asked_only_on_demand_and_never_from_the_workspace(
    context, monkeypatch
):
    folder = context.workspace.root / "bin"
    folder.mkdir()
    planted = folder / "git"
    planted.write_text(f"#!/bin/sh\ntouch {context.workspace.root}/executed\n")
    planted.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:.:{sys.prefix}/bin:/usr/bin:/bin")
    assert status(context).external is None
    untrusted = status(context, check_external_dependencies=True).external
    assert set(untrusted.values()) <= {"found, not asked", "not found"}
    trusted = replace(context, code_allowed=True)
    told = status(trusted, check_external_dependencies=True).external
    assert set(told) == {"git", "rg", "node", "python3"}
    assert told["python3"].startswith("Python 3")
    assert not (context.workspace.root / "executed").exists()


def test_the_summary_tells_every_reason(context):
    report = status(context)
    text = report.summary()
    assert all(reason in text for reason in report.reasons)
    assert all(file.path in text for file in report.files)
