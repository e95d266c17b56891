"""Failures in a row, counted durably for each operation; the third blocks it."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, Field

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.services.context import Context

COLLECTION = "failures"
LIMIT = 3
RUNS_KEPT = 50


class Failures(BaseModel):
    """What is known of an operation's latest failures."""

    count: int = 0
    last_error: str = ""
    last_at: str = ""
    blocked: bool = False
    escalation: str | None = None
    # The runs whose failures are counted, so that a repeated step counts once.
    runs: list[str] = Field(default_factory=list)


def of(context: Context, operation: str) -> Failures:
    """The failures of one operation, none for an unknown one."""
    with context.workspace.store.view() as records:
        known = records.get(COLLECTION, operation)
    return Failures() if known is None else Failures.model_validate(known)


def everything(context: Context) -> dict[str, Failures]:
    """The operations that failed and have not succeeded since."""
    with context.workspace.store.view() as records:
        found = records.items(COLLECTION)
    return {operation: Failures.model_validate(value) for operation, value in found}


def add(context: Context, operation: str, error: str, *, block: bool = False) -> Failures:
    """Count one more failure; the third in a row, or ``block``, blocks the operation."""
    with context.workspace.store.transaction() as transaction:
        known = Failures.model_validate(transaction.get(COLLECTION, operation) or {})
        count = known.count + 1
        failed = known.model_copy(
            update={
                "count": count,
                "last_error": error,
                "last_at": context.clock().isoformat(timespec="seconds"),
                "blocked": known.blocked or block or count >= LIMIT,
            }
        )
        transaction.put(COLLECTION, operation, failed.model_dump())
    return failed


def add_run(context: Context, operation: str, run_id: str, errors: Sequence[str]) -> Failures:
    """Count a run's failed attempts, once however often this is called."""
    with context.workspace.store.transaction() as transaction:
        known = Failures.model_validate(transaction.get(COLLECTION, operation) or {})
        if run_id in known.runs or not errors:
            return known
        count = known.count + len(errors)
        failed = known.model_copy(
            update={
                "count": count,
                "last_error": errors[-1],
                "last_at": context.clock().isoformat(timespec="seconds"),
                "blocked": known.blocked or count >= LIMIT,
                "runs": [*known.runs, run_id][-RUNS_KEPT:],
            }
        )
        transaction.put(COLLECTION, operation, failed.model_dump())
    return failed


def escalated(context: Context, operation: str, record: str) -> None:
    """Remember which record tells a person about a blocked operation."""
    with context.workspace.store.transaction() as transaction:
        known = Failures.model_validate(transaction.get(COLLECTION, operation) or {})
        told = known.model_copy(update={"escalation": record})
        transaction.put(COLLECTION, operation, told.model_dump())


def forget(context: Context, operation: str) -> None:
    """Count anew: the operation succeeded, or was resumed."""
    with context.workspace.store.transaction() as transaction:
        transaction.delete(COLLECTION, operation)


def blocked_error(operation: str, failures: Failures) -> SidecarError:
    """The refusal of a blocked operation."""
    return SidecarError(
        ErrorCode.BLOCKED,
        f"`{operation}` is blocked after {failures.count} failures in a row:"
        f" {failures.last_error or 'no reason was given'}.",
        hint="Find the cause; then error_recovery with recovery_strategy `resume` frees it.",
    )
