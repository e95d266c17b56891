"""The durable queue's rows: what each change of a run is, as one transaction.

``stage`` tells what a worker has to do next: ``new`` is to be begun, ``begun`` to be worked on,
``settled`` ended by somebody outside and is to be finished, ``done`` is over. A row that is
``claimable`` waits for a worker; one that ``occupies`` keeps its workspace from starting another.
``token`` counts the claims, so that whoever lost a claim can write no more.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sidecar.domain.run import ENDED, RunRecord, RunRequest, RunState
from sidecar.engine.database import Row, Session
from sidecar.engine.run_json import from_dict, instant, to_dict

RANKS = {"schedule": 0, "todo": 1, "normal": 2}
# Beyond this a run is taken for what kills its process, and given up.
MAX_RECOVERIES = 10
KEPT_MILLISECONDS = 90 * 24 * 3600 * 1000
# States from which somebody outside may move a run: nobody works on it.
OUTSIDE = frozenset({RunState.READY, RunState.NEEDS_CONSENT, RunState.WAITING})

SCHEMA = (
    """CREATE TABLE IF NOT EXISTS runs (
  sequence {number}, run_id TEXT NOT NULL UNIQUE, workspace TEXT NOT NULL, subject TEXT NOT NULL,
  ranking INTEGER NOT NULL, request TEXT NOT NULL, state TEXT NOT NULL, stage TEXT NOT NULL,
  claimable INTEGER NOT NULL, occupies INTEGER NOT NULL DEFAULT 0, recovering INTEGER NOT NULL
  DEFAULT 0, recoveries INTEGER NOT NULL DEFAULT 0, token INTEGER NOT NULL DEFAULT 0,
  holder TEXT NOT NULL DEFAULT '', not_before BIGINT NOT NULL DEFAULT 0, created BIGINT NOT NULL,
  started BIGINT, ended BIGINT, attempts INTEGER NOT NULL DEFAULT 0, cancelled TEXT, begun TEXT,
  outcomes TEXT NOT NULL DEFAULT '[]', reason TEXT NOT NULL DEFAULT '', result TEXT NOT NULL
  DEFAULT '', facts TEXT NOT NULL DEFAULT '{{}}')""",
    "CREATE INDEX IF NOT EXISTS runs_claimable ON runs (ranking, sequence) WHERE claimable = 1",
    "CREATE INDEX IF NOT EXISTS runs_occupying ON runs (workspace) WHERE occupies = 1",
    "CREATE INDEX IF NOT EXISTS runs_subject ON runs (workspace, subject, sequence)",
    """CREATE TABLE IF NOT EXISTS turns (
  workspace TEXT NOT NULL PRIMARY KEY, started BIGINT NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS executing (
  workspace TEXT NOT NULL PRIMARY KEY, place TEXT NOT NULL, executor TEXT NOT NULL,
  host TEXT NOT NULL, kind TEXT NOT NULL, since BIGINT NOT NULL)""",
)
_RECORD = (
    "request, state, attempts, holder, created, started, ended, reason, result, facts,"
    " stage = 'settled'"
)


@dataclass(frozen=True)
class Claim:
    """A run that this process, and no other, may work on; ``token`` proves it."""

    run_id: str
    token: int
    workspace: str
    request: dict[str, Any]
    stage: str
    recovering: bool
    recoveries: int
    begun: dict[str, Any] | None
    outcomes: list[dict[str, Any]]


def record(row: Row) -> RunRecord:
    """The public view of a row."""
    return RunRecord(
        request=from_dict(json.loads(row[0])),
        state=RunState(row[1]),
        attempts=row[2],
        holder=row[3],
        created=instant(row[4]),
        started=instant(row[5]),
        ended=instant(row[6]),
        reason=row[7],
        result=row[8],
        facts=json.loads(row[9]),
        finishing=bool(row[10]),
    )


def find(session: Session, run_id: str) -> RunRecord | None:
    """One run, None for an unknown id."""
    rows = session.rows(f"SELECT {_RECORD} FROM runs WHERE run_id = ?", run_id)  # noqa: S608 - a constant
    return record(rows[0]) if rows else None


def select(
    session: Session,
    workspace: str,
    subject: str | None,
    states: Collection[RunState],
    limit: int,
) -> list[RunRecord]:
    """The runs of a workspace, the newest first."""
    where, values = "workspace = ?", [workspace, *([] if subject is None else [subject])]
    where += "" if subject is None else " AND subject = ?"
    if states:
        where += f" AND state IN ({_marks(states)})"
        values += [state.value for state in states]
    query = f"SELECT {_RECORD} FROM runs WHERE {where} ORDER BY sequence DESC LIMIT ?"  # noqa: S608 - marks only
    return [record(row) for row in session.rows(query, *values, limit)]


def insert(
    session: Session, request: RunRequest, state: RunState, reason: str, now: int
) -> RunRecord:
    """Put a run in, unless it is there; whoever asks gets the run that is."""
    ended = state in ENDED
    stage = "done" if ended else "new"
    changed = session.change(
        "INSERT INTO runs (run_id, workspace, subject, ranking, request, state, stage, claimable,"
        " created, ended, reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (run_id) DO NOTHING",
        request.run_id, request.workspace, request.subject, RANKS.get(request.priority, 2),
        json.dumps(to_dict(request)), state.value, stage, int(state is RunState.QUEUED),
        now, now if ended else None, reason,
    )  # fmt: skip
    if changed:
        session.announce()
    found = find(session, request.run_id)
    if found is None:
        message = f"The row of {request.run_id} vanished within its own transaction."
        raise RuntimeError(message)
    return found


def _waiting(workspaces: Collection[str] | None) -> str:
    """The rows that a worker may take now, as the end of a query."""
    served = "" if workspaces is None else f" AND r.workspace IN ({_marks(workspaces)})"
    return (
        " WHERE r.claimable = 1 AND r.not_before <= ? AND NOT EXISTS (SELECT 1 FROM runs o WHERE"  # noqa: S608 - marks only
        f" o.workspace = r.workspace AND o.occupies = 1 AND o.run_id <> r.run_id){served}"
    )


def has_claimable(session: Session, workspaces: Collection[str] | None, now: int) -> bool:
    """Whether there is anything to take; it needs no lock."""
    query = f"SELECT 1 FROM runs r{_waiting(workspaces)} LIMIT 1"  # noqa: S608 - marks only
    return bool(session.rows(query, now, *(workspaces or ())))


def claim(
    session: Session, executor: str, workspaces: Collection[str] | None, now: int
) -> Claim | None:
    """Take the next run: by priority, then the workspace that waited longest, then first come."""
    found = session.rows(
        "SELECT r.run_id, r.workspace, r.recovering FROM runs r LEFT JOIN turns t"  # noqa: S608 - marks only
        f" ON t.workspace = r.workspace{_waiting(workspaces)}"
        " ORDER BY r.ranking, COALESCE(t.started, 0), r.sequence LIMIT 1",
        now, *(workspaces or ()),
    )  # fmt: skip
    if not found:
        return None
    run_id, workspace, recovering = found[0]
    (row,) = session.rows(
        "UPDATE runs SET state = CASE WHEN stage = 'settled' THEN state ELSE 'running' END,"
        " claimable = 0, occupies = 1, holder = ?, token = token + 1, recovering = 0,"
        " started = COALESCE(started, ?) WHERE run_id = ?"
        " RETURNING token, request, stage, recoveries, begun, outcomes",
        executor, now, run_id,
    )  # fmt: skip
    session.change(
        "INSERT INTO turns (workspace, started) VALUES (?, ?)"
        " ON CONFLICT (workspace) DO UPDATE SET started = excluded.started",
        workspace, now,
    )  # fmt: skip
    token, request, stage, recoveries, begun, outcomes = row
    return Claim(
        run_id, token, workspace, json.loads(request), stage, bool(recovering), recoveries,
        json.loads(begun) if begun else None, json.loads(outcomes),
    )  # fmt: skip


def _marks(values: Collection[object]) -> str:
    return ", ".join("?" * len(values))


def keep(session: Session, held: Claim, **columns: object) -> bool:
    """Write what a worker has achieved; False where it has lost the claim."""
    names = ", ".join(f"{name} = ?" for name in columns)
    update = f"UPDATE runs SET {names} WHERE run_id = ? AND token = ? AND occupies = 1"  # noqa: S608 - our own names
    return bool(session.change(update, *columns.values(), held.run_id, held.token))


_RETURN = (
    "UPDATE runs SET claimable = 1, holder = '', token = token + 1, recovering = 1,"
    " recoveries = recoveries + ?,"
    " state = CASE WHEN stage = 'settled' THEN state ELSE 'queued' END"
    " WHERE occupies = 1 AND claimable = 0 AND holder = ?"
)


def put_back(session: Session, held: Claim, executor: str) -> bool:
    """Return a run whose worker stops in order: another goes on where it was."""
    session.announce()
    own = " AND run_id = ? AND token = ?"
    return bool(session.change(_RETURN + own, 0, executor, held.run_id, held.token))


def holders(session: Session) -> frozenset[str]:
    """The processes that are at work on runs."""
    rows = session.rows(
        "SELECT DISTINCT holder FROM runs WHERE occupies = 1 AND claimable = 0 AND holder <> ''"
    )
    return frozenset(row[0] for row in rows)


def held(session: Session, executor: str) -> frozenset[str]:
    """The runs that a process has claimed."""
    rows = session.rows(
        "SELECT run_id FROM runs WHERE occupies = 1 AND claimable = 0 AND holder = ?", executor
    )
    return frozenset(row[0] for row in rows)


def release(session: Session, executor: str, run_id: str) -> None:
    """Return a run that a living process holds and knows nothing of."""
    if session.change(_RETURN + " AND run_id = ?", 1, executor, run_id):
        session.announce()


def recover(session: Session, executor: str) -> int:
    """Return all runs of a process that lives no more; how many there were."""
    found = session.change(_RETURN, 1, executor)
    if found:
        session.announce()
    return found


def cancel(session: Session, run_id: str, reason: str, now: int) -> bool:
    """Ask a run to end: at once where nobody works on it."""
    rows = session.rows("SELECT state, stage FROM runs WHERE run_id = ?", run_id)
    if not rows or RunState(rows[0][0]) in ENDED:
        return False
    state, stage = rows[0]
    session.announce()
    if stage == "new" and not _occupies(session, run_id):
        _end(session, run_id, RunState.CANCELLED, "done", reason, "", now)
    elif state == RunState.READY.value:
        settled = {"status": "cancelled", "reason": reason}
        _settle_begun(session, run_id, RunState.CANCELLED, settled, now)
    else:
        session.change(
            "UPDATE runs SET cancelled = ?, not_before = CASE WHEN claimable = 1 THEN 0 ELSE"
            " not_before END WHERE run_id = ?",
            reason, run_id,
        )  # fmt: skip
    return True


def _occupies(session: Session, run_id: str) -> bool:
    return bool(session.rows("SELECT occupies FROM runs WHERE run_id = ?", run_id)[0][0])


def settle(
    session: Session, run_id: str, state: RunState, reason: str, result: str, now: int
) -> bool:
    """Move a run on which nobody works: end it, or let it be queued."""
    rows = session.rows("SELECT state, stage FROM runs WHERE run_id = ?", run_id)
    if not rows or RunState(rows[0][0]) not in OUTSIDE:
        return False
    stage = rows[0][1]
    if rows[0][0] == RunState.WAITING.value and stage != "new":
        return False
    session.announce()
    if state not in ENDED:
        claimable = int(state is RunState.QUEUED)
        session.change(
            "UPDATE runs SET state = ?, claimable = ?, reason = ? WHERE run_id = ?",
            state.value, claimable, reason, run_id,
        )  # fmt: skip
    elif stage == "new":
        _end(session, run_id, state, "done", reason, result, now)
    else:
        outcome = {"status": _STATUSES.get(state, "failed"), "reason": reason, "text": result}
        _settle_begun(session, run_id, state, outcome, now)
    return True


_STATUSES = {
    RunState.SUCCEEDED: "succeeded",
    RunState.CANCELLED: "cancelled",
    RunState.TIMED_OUT: "timed-out",
}


def _settle_begun(
    session: Session, run_id: str, state: RunState, outcome: Mapping[str, object], now: int
) -> None:
    """End a run that a worker has begun, and leave it to a worker to finish it."""
    rows = session.rows("SELECT outcomes FROM runs WHERE run_id = ?", run_id)
    outcomes = [*json.loads(rows[0][0]), outcome]
    session.change("UPDATE runs SET outcomes = ?, claimable = 1, not_before = 0 WHERE run_id = ?",
                   json.dumps(outcomes), run_id)  # fmt: skip
    text = str(outcome.get("text", ""))
    _end(session, run_id, state, "settled", str(outcome["reason"]), text, now)


def _end(
    session: Session, run_id: str, state: RunState, stage: str, reason: str, result: str, now: int
) -> None:
    session.change(
        "UPDATE runs SET state = ?, stage = ?, reason = ?, result = ?, ended = ?,"
        " claimable = CASE WHEN ? = 'settled' THEN 1 ELSE 0 END WHERE run_id = ?",
        state.value, stage, reason, result, now, stage, run_id,
    )  # fmt: skip


def cancelled(session: Session, run_id: str) -> str | None:
    """Why a run is to end, None where nobody asked for it."""
    rows = session.rows("SELECT cancelled FROM runs WHERE run_id = ?", run_id)
    return rows[0][0] if rows else None


def cancellations(session: Session, executor: str) -> frozenset[str]:
    """The runs of a process that somebody asked to end."""
    rows = session.rows(
        "SELECT run_id FROM runs WHERE occupies = 1 AND holder = ? AND cancelled IS NOT NULL",
        executor,
    )
    return frozenset(row[0] for row in rows)


def next_instant(session: Session, workspaces: Collection[str] | None, now: int) -> int | None:
    """When the next run that sleeps may be claimed; None where none sleeps."""
    served = "" if workspaces is None else f" AND workspace IN ({_marks(workspaces)})"
    query = f"SELECT MIN(not_before) FROM runs WHERE claimable = 1 AND not_before > ?{served}"  # noqa: S608 - marks only
    value = session.rows(query, now, *(workspaces or ()))[0][0]
    return None if value is None else int(value)


def prune(session: Session, now: int) -> int:
    """Forget what ended long ago, but never the newest run of a schedule: slots count from it."""
    return session.change(
        "DELETE FROM runs WHERE stage = 'done' AND ended < ? AND EXISTS (SELECT 1 FROM runs n"
        " WHERE n.workspace = runs.workspace AND n.subject = runs.subject"
        " AND n.sequence > runs.sequence)",
        now - KEPT_MILLISECONDS,
    )  # fmt: skip


def create(session: Session, number: str) -> None:
    """Make the tables where they are missing; ``number`` is the type of a rising number."""
    for statement in SCHEMA:
        session.change(statement.format(number=number))
