"""Runs by their id: those of the engine, delegated tasks and validations."""

from __future__ import annotations

import hashlib
from typing import Any

from sidecar.domain.run import RunRecord
from sidecar.services import validation_runs
from sidecar.services.context import Context
from sidecar.services.run_requests import run_of, workspace_id
from sidecar.services.schedule_plan import stamp
from sidecar.services.task_queue import COLLECTION as TASKS
from sidecar.services.task_queue import TaskQueue
from sidecar.services.validation import run_validation

TASK_PREFIX = "task-"


def told(context: Context, run_id: str) -> dict[str, Any]:
    """How a run stands now; raises SidecarError E_NOT_FOUND."""
    if (record := run_of(context, run_id)) is not None:
        return {"kind": "run", **shown(record)}
    if run_id.startswith(TASK_PREFIX):
        with context.workspace.store.transaction() as records:
            task = TaskQueue(records, context.clock(), keep=False).get(run_id)
        # Who holds the lease's token may finish the task; a reader may not.
        told = task.model_dump(mode="json", exclude_none=True, exclude={"lease_token"})
        return {"kind": "task", **told}
    report = run_validation.call(context, {"run_id": run_id, "wait_seconds": 0})
    return {"kind": "validation", **report.structured()}


def shown(record: RunRecord) -> dict[str, Any]:
    """A run as JSON values, without what is empty."""
    request = record.request
    told = {
        "run_id": record.run_id,
        "state": record.state.value,
        "origin": request.origin.value,
        "subject": request.subject,
        "label": request.label,
        "mode": request.mode,
        "runner": request.runner,
        "due": stamp(request.slot),
        "attempts": record.attempts,
        "holder": record.holder,
        "created": stamp(record.created),
        "started": stamp(record.started),
        "ended": stamp(record.ended),
        "limit_seconds": request.limit_seconds,
        "reason": record.reason,
        "result": record.result,
        "facts": record.facts,
    }
    return {name: value for name, value in told.items() if value not in (None, "", {})}


def latest_validation(context: Context) -> dict[str, Any]:
    """The validation that was started last, or the word that there was none."""
    run_id = validation_runs.latest_id(context)
    return told(context, run_id) if run_id else {"kind": "validation", "status": "none"}


def ids(context: Context) -> list[str]:
    """The ids of the engine's runs, all tasks and all validations, each the newest first."""
    executed = context.queue.runs(workspace=workspace_id(context)) if context.queue else []
    with context.workspace.store.transaction() as records:
        tasks = [key for key, _ in records.items(TASKS)]
    return [*(run.run_id for run in executed), *reversed(tasks), *validation_runs.ids(context)]


def version(context: Context, run_id: str) -> str:
    """A word that differs whenever the run has moved on; cheap enough to ask every second."""
    if (record := run_of(context, run_id)) is not None:
        return f"{record.state} {record.attempts} {record.holder} {record.ended} {record.reason}"
    if run_id.startswith(TASK_PREFIX):
        with context.workspace.store.transaction() as records:
            return str(records.get(TASKS, run_id))
    if not validation_runs.is_id(run_id):
        return ""
    run = validation_runs.Run(context.workspace.state, run_id)
    progress = hashlib.sha256(str(run.load("progress.json")).encode()).hexdigest()
    return f"{run_id} {run.state.exists(run.name('report.json'))} {progress}"


def latest_version(context: Context) -> str:
    """The version of the validation that was started last."""
    run_id = validation_runs.latest_id(context)
    return version(context, run_id) if run_id else ""
