"""Recover from errors: count, wait, escalate, roll back, clean up; tell what was really done."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.domain.kind import Kind
from sidecar.services import checkpoints, escalation, failures, rollback, suspensions
from sidecar.services.backoff import retry_delay
from sidecar.services.context import Context
from sidecar.services.tool import Category, ChangeRequest, ChangeResult, tool
from sidecar.workspace import leftovers

MAX_CONTEXT_BYTES = 32_000
LISTED = 100
Strategy = Literal["retry", "rollback", "cleanup", "escalate", "resume"]


class ErrorRecoveryRequest(ChangeRequest):
    """What failed, and how to go on."""

    operation: Annotated[
        str, Field(min_length=1, max_length=200, description="Tool or task that failed")
    ]
    error_context: Annotated[
        dict[str, Any],
        Field(description="error; for rollback also path or checkpoint_id"),
    ]
    recovery_strategy: Annotated[
        Strategy | None, Field(description="Default: retry, then escalate")
    ] = None
    create_checkpoint: Annotated[bool, Field(description="Keep the state files first")] = True


class Done(BaseModel):
    """One thing that was done, and how it ended."""

    action: str
    target: str
    ok: bool
    outcome: str


class ErrorRecoveryResult(ChangeResult):
    """What was done, and how the operation stands."""

    operation: str
    strategy: Strategy
    failures: int
    blocked: bool
    actions: list[Done]
    retry_at: str | None = None
    delay_seconds: float | None = None
    checkpoint_id: str | None = None
    escalation_id: str | None = None

    def summary(self) -> str:
        """How the operation stands, then each action with its outcome."""
        state = "blocked" if self.blocked else f"{self.failures} failures in a row"
        lines = [f"{self.mood}{self.strategy} {self.operation}: {state}"]
        if self.retry_at is not None:
            lines.append(f"retry at {self.retry_at} (in {self.delay_seconds} s)")
        kept = {"checkpoint": self.checkpoint_id, "escalation": self.escalation_id}
        lines += [f"{name} {value}" for name, value in kept.items() if value]
        lines += [
            f"{'ok' if each.ok else 'FAILED'} {each.action} {each.target}: {each.outcome}"
            for each in self.actions
        ]
        return "\n".join(lines)


@tool(title="Recover from an error", category=Category.DEVELOPMENT, destructive=True)
def error_recovery(context: Context, request: ErrorRecoveryRequest) -> ErrorRecoveryResult:
    """Report a failure: the first two say when to retry, the third blocks the operation.

    rollback restores the files of its last call or a checkpoint; cleanup removes stale temporary
    files; resume unblocks, a suspended schedule by its id.

    Example:
        {"operation": "deploy", "error_context": {"error": "timeout"}, "create_checkpoint": false}
        {"success": true, "strategy": "retry", "failures": 1, "blocked": false}
        {"operation": "deploy", "error_context": {}, "recovery_strategy": "resume"}
        {"success": true, "failures": 0}
    """
    _check_size(request.error_context)
    known = failures.of(context, request.operation)
    if known.blocked and request.recovery_strategy in {None, "retry"}:
        raise failures.blocked_error(request.operation, known)
    checkpoint_id = None
    if request.create_checkpoint and request.recovery_strategy != "resume":
        checkpoint_id = checkpoints.take(context, request.operation, _paths(context, request)).id
    result = _recovered(context, request)
    return result.model_copy(update={"checkpoint_id": checkpoint_id})


def _recovered(context: Context, request: ErrorRecoveryRequest) -> ErrorRecoveryResult:
    match request.recovery_strategy:
        case "rollback":
            return _rolled_back(context, request)
        case "cleanup":
            return _cleaned_up(context, request)
        case "resume":
            return _resumed(context, request)
        case asked:
            return _counted(context, request, at_once=asked == "escalate")


def _counted(
    context: Context, request: ErrorRecoveryRequest, *, at_once: bool
) -> ErrorRecoveryResult:
    """Count the failure: wait and try again, or stop and tell a person."""
    told = _error(request.error_context)
    failed = failures.add(context, request.operation, told, block=at_once)
    if not failed.blocked:
        delay = retry_delay(failed.count)
        moment = (context.clock() + delay).isoformat(timespec="seconds").replace("+00:00", "Z")
        seconds = delay.total_seconds()
        outcome = f"retry in {seconds:.1f} s; {failures.LIMIT - failed.count} more until escalation"
        waits = Done(action="retry", target=request.operation, ok=True, outcome=outcome)
        result = _result(context, request, "retry", [waits])
        return result.model_copy(update={"retry_at": moment, "delay_seconds": seconds})
    record = escalation.escalate(
        context, request.operation, attempts=failed.count, reason=f"{told}."
    )
    failures.escalated(context, request.operation, record.id)
    actions = [
        Done(action="block", target=request.operation, ok=True, outcome="until it is resumed"),
        Done(action="record", target=record.id, ok=True, outcome="shown by get_system_status"),
        Done(
            action="remember",
            target=context.workspace.path(Kind.MEMORY),
            ok=record.noted,
            outcome="entry written" if record.noted else "the entry could not be written",
        ),
    ]
    result = _result(context, request, "escalate", actions)
    return result.model_copy(update={"escalation_id": record.id})


def _rolled_back(context: Context, request: ErrorRecoveryRequest) -> ErrorRecoveryResult:
    named, paths = request.error_context.get("checkpoint_id"), _paths(context, request)
    if named is not None:
        steps = rollback.to_checkpoint(checkpoints.find(context, str(named)))
    else:
        steps = rollback.of_last_call(context, request.operation)
    if paths:
        steps = [step for step in steps if step.path in paths]
    actions = [_undone(context, step, force=named is not None) for step in steps]
    if not actions:
        message = f"No change of {', '.join(paths)} by `{request.operation}` is known."
        raise SidecarError(ErrorCode.NOT_FOUND, message)
    return _result(context, request, "rollback", actions)


def _undone(context: Context, step: rollback.Step, *, force: bool) -> Done:
    try:
        outcome = rollback.apply(context, step, force=force)
    except SidecarError as error:
        return Done(action="restore", target=step.path, ok=False, outcome=str(error))
    return Done(action="restore", target=step.path, ok=outcome.done, outcome=outcome.told)


def _cleaned_up(context: Context, request: ErrorRecoveryRequest) -> ErrorRecoveryResult:
    tree = context.workspace.files.tree
    found = leftovers.find(tree, context.clock())
    actions = []
    for path in found.paths:
        try:
            there = request.dry_run or leftovers.remove(tree, path)
            outcome = "removed" if there else "was gone already"
            actions.append(Done(action="remove", target=path, ok=True, outcome=outcome))
        except OSError as error:
            told = error.strerror or "could not be removed"
            actions.append(Done(action="remove", target=path, ok=False, outcome=told))
    if not found.paths:
        told = "nothing stale" if found.complete else "nothing stale in the first 20,000 folders"
        actions.append(Done(action="search", target=".", ok=True, outcome=told))
    return _result(context, request, "cleanup", actions)


def _resumed(context: Context, request: ErrorRecoveryRequest) -> ErrorRecoveryResult:
    known = failures.of(context, request.operation)
    failures.forget(context, request.operation)
    if known.escalation:
        escalation.resumed(context, known.escalation)
    told = f"{known.count} failures forgotten" if known.count else "it was not counted"
    told += f", resumed by {context.client.name}"
    actions = [Done(action="resume", target=request.operation, ok=True, outcome=told)]
    lifted = suspensions.lift(context, suspensions.schedule_id(request.operation))
    if lifted is not None:
        told = f"it was held back since {lifted.at}: {lifted.reason}"
        actions.append(Done(action="lift", target=lifted.schedule_id, ok=True, outcome=told))
    return _result(context, request, "resume", actions)


def _result(
    context: Context, request: ErrorRecoveryRequest, strategy: Strategy, actions: list[Done]
) -> ErrorRecoveryResult:
    known = failures.of(context, request.operation)
    bad = [each for each in actions if not each.ok]
    listed = [*bad, *(each for each in actions if each.ok)] if len(actions) > LISTED else actions
    if (more := len(actions) - LISTED) > 0:
        told = f"{len(bad)} of {len(actions)} failed"
        rest = Done(action="and", target=f"{more} more", ok=not bad[LISTED:], outcome=told)
        listed = [*listed[:LISTED], rest]
    return ErrorRecoveryResult(
        success=not bad,
        operation=request.operation,
        strategy=strategy,
        failures=known.count,
        blocked=known.blocked,
        actions=listed,
        escalation_id=known.escalation,
    )


def _paths(context: Context, request: ErrorRecoveryRequest) -> list[str]:
    path = request.error_context.get("path")
    return [context.workspace.files.locate(path)] if isinstance(path, str) else []


def _error(error_context: dict[str, Any]) -> str:
    told = error_context.get("error", error_context.get("message", ""))
    text = told if isinstance(told, str) else json.dumps(told)
    return " ".join(text.split())[:300] or "no reason was given"


def _check_size(error_context: dict[str, Any]) -> None:
    if len(json.dumps(error_context)) > MAX_CONTEXT_BYTES:
        message = f"`error_context` may have {MAX_CONTEXT_BYTES} bytes."
        raise SidecarError(ErrorCode.TOO_LARGE, message, hint="Name a file instead of quoting it.")
