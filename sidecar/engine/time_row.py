"""The row that a run has in the time log: there before the run begins, and closed after it."""

from __future__ import annotations

from datetime import datetime

from sidecar.domain import timing
from sidecar.domain.errors import SidecarError
from sidecar.domain.run import RunRequest, RunState
from sidecar.services import timing_log
from sidecar.services.context import Context
from sidecar.services.timed_tasks import keep_limit

MAX_TASK = 400
RESULTS = {
    RunState.SUCCEEDED: "completed",
    RunState.FAILED: "failed",
    RunState.TIMED_OUT: "timed-out",
    RunState.CANCELLED: "cancelled",
    RunState.INTERRUPTED: "interrupted",
    RunState.SKIPPED: "skipped",
    RunState.ESCALATED: "escalated",
}
PENDING = "finalization-pending"


def begin(
    context: Context, request: RunRequest, task_id: str, started: datetime, limit: float
) -> None:
    """Make the row durable unless it is there; raises E_UNAVAILABLE after three tries."""
    keep_limit(context, task_id, int(limit))
    timing_log.append_once(context, _values(request, task_id, started))


def close(
    context: Context, request: RunRequest, task_id: str, started: datetime, state: RunState
) -> str:
    """Close the row; the word that it ended with, ``finalization-pending`` while it is not written.

    A row that somebody deleted meanwhile is written anew, as a whole.
    """
    keep_limit(context, task_id, None)
    now, result = context.clock(), RESULTS[state]
    seconds = max(0, round((now - started).total_seconds()))
    try:
        rows = [row for row in timing_log.read_log(context).rows if row.task_id == task_id]
    except SidecarError:
        timing_log.close_later(context, task_id, now, seconds, result)
        return PENDING
    still_open = [row for row in rows if row.is_open and not row.problem]
    if still_open:
        written = timing_log.close(context, still_open[-1], now, seconds, result)
        return result if written else PENDING
    if rows:
        return rows[-1].values["result"]
    ended = {"end_time": timing.format_time(now), "duration": str(seconds), "result": result}
    timing_log.append_once(context, _values(request, task_id, started) | ended)
    return result


def _values(request: RunRequest, task_id: str, started: datetime) -> dict[str, str]:
    return {
        "timestamp": timing.format_time(started),
        "mode": request.mode or "",
        "task_id": task_id,
        "start_time": timing.format_time(started),
        "end_time": "",
        "duration": "",
        "task": " ".join(request.label.split())[:MAX_TASK] or request.subject,
        "result": "started",
        "priority": request.priority,
    }
