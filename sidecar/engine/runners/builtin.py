"""Work that needs no model: validation, bringing the files in order, keeping the memory small.

Which it is, one rule decides: the first word of the schedule's instructions is the tool's name,
and what follows it on that line, if anything does, its arguments as one JSON object:

    run_validation {"validation_type": "basic"}
    sync_environment
    optimize_memory
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.domain.suggest import did_you_mean
from sidecar.engine.runner import Event, Outcome, RunSpec
from sidecar.engine.runners.bounds import Watch
from sidecar.engine.runners.hosts import Host, instructions
from sidecar.engine.runners.record import Record, recorded
from sidecar.services.context import Context
from sidecar.services.environment import sync_environment
from sidecar.services.memory_upkeep import optimize_memory
from sidecar.services.validation import RunValidation, run_validation

LOOK_SECONDS = 0.5
Arguments = Mapping[str, Any]


@dataclass(frozen=True)
class BuiltinRunner:
    """Calls one of the sidecar's own tools in this process."""

    host: Host

    def run(self, spec: RunSpec, stop: threading.Event, tell: Callable[[Event], None]) -> Outcome:
        """Do what the instructions name; nothing else."""
        return recorded(spec, tell, lambda record: self._worked(spec, stop, record))

    def _worked(self, spec: RunSpec, stop: threading.Event, record: Record) -> Outcome:
        try:
            name, arguments = named(instructions(spec))
            record(Event("tool", name, {"id": name, "state": "begun", "data": dict(arguments)}))
            watch = Watch(spec, stop, record)
            if reached := watch.reached():
                return Outcome(reached.status, reached.reason)
            context = self.host.context(spec)
            with context.workspace.journal.origin(tool=name, client="sidecar", run=spec.run_id):
                outcome = WORK[name](context, arguments, watch)
        except SidecarError as error:
            return Outcome("failed", str(error))
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            return Outcome("failed", f"The arguments are not right: `{place}`: {first['msg']}.")
        record(Event("tool", name, {"id": name, "state": "ended"}))
        return outcome


def named(text: str) -> tuple[str, Arguments]:
    """The tool and its arguments that instructions name; raises SidecarError E_INVALID."""
    line = text.strip().splitlines()[0] if text.strip() else ""
    word, _, rest = line.partition(" ")
    name = word.strip("`:").lower().replace("-", "_")
    if name not in WORK:
        message = f"The runner `builtin` does not know `{word[:60]}`."
        known = f"Begin the instructions with one of: {', '.join(WORK)}."
        raise SidecarError(ErrorCode.INVALID, message, hint=did_you_mean(name, WORK) or known)
    try:
        arguments = json.loads(rest) if rest.strip() else {}
    except ValueError:
        arguments = None
    if not isinstance(arguments, dict):
        message = f"What follows `{name}` is no JSON object."
        raise SidecarError(ErrorCode.INVALID, message, hint='For example {"sync_type": "full"}.')
    return name, arguments


def _validation(context: Context, arguments: Arguments, watch: Watch) -> Outcome:
    """Start a validation and follow it to its end, or cancel it at the run's limit."""
    given = {**arguments, "wait_seconds": LOOK_SECONDS}
    report = run_validation.call(context, given)
    reached = None
    while report.status == "running" and reached is None:
        again = {"run_id": report.run_id, "wait_seconds": LOOK_SECONDS}
        report = run_validation.call(context, again)
        watch.heard()
        reached = watch.reached()
    if reached is not None and report.status == "running":
        report = run_validation.call(context, {"run_id": report.run_id, "cancel": True})
        return Outcome(reached.status, reached.reason, report.summary())
    return _judged(report)


def _judged(report: RunValidation) -> Outcome:
    is_good = report.success and report.status == "finished" and report.verdict != "failed"
    told = f"Validation {report.validation_type}: {report.verdict}."
    facts = {"validation": report.run_id, "verdict": report.verdict, "report": report.report}
    return Outcome("succeeded" if is_good else "failed", told, report.summary(), facts=facts)


def _sync(context: Context, arguments: Arguments, _: Watch) -> Outcome:
    result = sync_environment.call(context, dict(arguments))
    told = "The environment is in order." if result.success else "Something is out of order still."
    return Outcome("succeeded" if result.success else "failed", told, result.summary())


def _memory(context: Context, arguments: Arguments, _: Watch) -> Outcome:
    if arguments:
        raise SidecarError(ErrorCode.INVALID, "`optimize_memory` takes no arguments.")
    return Outcome("succeeded", optimize_memory(context).summary())


WORK: dict[str, Callable[[Context, Arguments, Watch], Outcome]] = {
    "run_validation": _validation,
    "sync_environment": _sync,
    "optimize_memory": _memory,
}
