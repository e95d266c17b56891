"""Consent: what executes a workspace's code asks first, and only a person can answer."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.domain.modes_catalog import KnownMode
from sidecar.domain.run import RunRequest
from sidecar.domain.schedules import Schedule
from sidecar.services.context import Context
from sidecar.services.modes import known_modes
from sidecar.settings import Settings, runner_of
from sidecar.workspace.workspace import Workspace

COLLECTION = "trust"
KEY = "workspace"
SCHEDULES = "trusted-schedules"
RUNS = "trusted-runs"
MAX_RUNS = 100
NOBODY = "handoff"
# Enough for any sane configuration; a larger one is refused rather than half shown to a person.
MAX_PYPROJECT_BYTES = 1_000_000


@dataclass(frozen=True)
class Consent:
    """What a person agreed to: the digest of everything that may run, and when."""

    digest: str
    given_at: str


@dataclass(frozen=True)
class Offer:
    """What a person is asked to agree to; exactly what was shown is what is recorded."""

    commands: dict[str, Any]
    assignments: tuple[dict[str, Any], ...] = ()


def commands(workspace: Workspace, settings: Settings) -> dict[str, Any]:
    """Everything in the settings that decides what would be executed here, for a person to read."""
    return {
        "pytest": ["pytest", *settings.tests],
        "interpreter": settings.interpreter or "the sidecar's own",
        "validation": _validation_table(workspace),
        "runners": runners(settings),
        "allowed_calls": sorted(settings.allowed_calls),
        "on_escalation": list(settings.on_escalation),
    }


def runners(settings: Settings) -> dict[str, list[str]]:
    """The runners that the settings choose: the user's own with their commands, else no words."""
    chosen = {settings.runner, *settings.runner_for.values()} - {NOBODY}
    return {name: list(settings.runners.get(name, ())) for name in sorted(chosen)}


def _validation_table(workspace: Workspace) -> Any:
    try:
        data = workspace.files.read("pyproject.toml", limit=MAX_PYPROJECT_BYTES).data
        table: Any = tomllib.loads(data.decode("utf-8"))
    except (SidecarError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return {}
    for key in ("tool", "sidecar", "validation"):
        table = table.get(key, {}) if isinstance(table, dict) else {}
    return json.loads(json.dumps(table, default=str))  # TOML has dates, JSON has none


def digest(workspace: Workspace, settings: Settings) -> str:
    """A hash of every setting that names a command; consent is bound to it."""
    return _hashed(commands(workspace, settings))


def assignment(context: Context, schedule: Schedule, mode: str | None = None) -> dict[str, Any]:
    """All that an agent would be told and allowed because of a schedule, for a person to read."""
    return _assignment(context.settings, known_modes(context), schedule, mode)


def _assignment(
    settings: Settings, modes: Iterable[KnownMode], schedule: Schedule, mode: str | None = None
) -> dict[str, Any]:
    slug = mode or schedule.text("mode")
    known = next((each for each in modes if each.slug == slug), None)
    groups = known.groups if known else ()
    return {
        "id": schedule.id,
        "name": schedule.text("name"),
        "mode": slug,
        "instructions": schedule.text("taskInstructions"),
        "interaction": schedule.text("taskInteraction"),
        "runner": runner_of(settings, schedule.id, slug),
        "role": known.role_definition if known else "",
        "mode_instructions": (known.custom_instructions or "") if known else "",
        "groups": [[group.name, group.file_regex or ""] for group in groups],
    }


def _hashed(value: Any) -> str:
    text = json.dumps(value, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def consent(workspace: Workspace) -> Consent | None:
    """The consent on record for this folder, on the user's side."""
    with workspace.store.transaction() as transaction:
        record = transaction.get(COLLECTION, KEY)
    return Consent(**record) if record else None


def consents(workspace: Workspace) -> dict[str, Consent]:
    """The schedules that a person approved, by their ids."""
    with workspace.store.transaction() as transaction:
        return {key: Consent(**value) for key, value in transaction.items(SCHEDULES)}


def offer(context: Context, schedules: Iterable[Schedule] = ()) -> Offer:
    """What may run here now, with what these schedules would have an agent do."""
    shown = tuple(assignment(context, each) for each in schedules if each.id)
    return Offer(commands(context.workspace, context.settings), shown)


def grant(context: Context, offered: Offer) -> Consent:
    """Record a person's consent to what was offered; no tool reaches this function.

    Approvals of other schedules stay as they are.
    """
    at = context.clock().isoformat(timespec="seconds")
    given = Consent(_hashed(offered.commands), at)
    with context.workspace.store.transaction() as transaction:
        transaction.put(COLLECTION, KEY, {"digest": given.digest, "given_at": at})
        for each in offered.assignments:
            transaction.put(SCHEDULES, each["id"], {"digest": _hashed(each), "given_at": at})
    return given


def revoke(workspace: Workspace) -> bool:
    """Forget every consent; whether there was one."""
    with workspace.store.transaction() as transaction:
        approved = transaction.items(SCHEDULES)
        known = bool(approved) or transaction.get(COLLECTION, KEY) is not None
        transaction.delete(COLLECTION, KEY)
        for schedule_id, _ in approved:
            transaction.delete(SCHEDULES, schedule_id)
    return known


def is_trusted(context: Context) -> bool:
    """Whether a person has agreed to exactly what would run now."""
    return refusal(context) is None


def refusal(context: Context) -> str | None:
    """Why the workspace's commands may not run, as a clause; None where a person agreed to them."""
    if context.code_allowed:
        return None
    given = consent(context.workspace)
    if given is None:
        return "nobody has trusted this workspace yet"
    if given.digest != digest(context.workspace, context.settings):
        return "the commands in its settings changed since it was trusted"
    return None


def may_run(context: Context, schedule: Schedule, mode: str | None = None) -> str | None:
    """Why a schedule may not run, as a clause; None where a person agreed to exactly this.

    The consent covers the workspace's commands and what an agent would be told: a new schedule, a
    changed one, and one whose mode changed all wait for a person. ``mode`` is its own by default.
    """
    if context.code_allowed:
        return None
    if (reason := refusal(context)) is not None:
        return reason
    given = consents(context.workspace).get(schedule.id)
    return _objection(given, assignment(context, schedule, mode))


def allow_run(context: Context, request: RunRequest) -> None:
    """Record that a person typed `sidecar run --trust` for this very run; no tool reaches this."""
    at = context.clock().isoformat(timespec="seconds")
    record = {"digest": _hashed(_of_run(request)), "given_at": at}
    with context.workspace.store.transaction() as transaction:
        for key, _ in transaction.items(RUNS)[:-MAX_RUNS]:
            transaction.delete(RUNS, key)
        transaction.put(RUNS, request.run_id, record)


def is_allowed(context: Context, request: RunRequest) -> bool:
    """Whether a person allowed exactly this run, whatever else is trusted."""
    with context.workspace.store.transaction() as transaction:
        record = transaction.get(RUNS, request.run_id)
    return record is not None and record["digest"] == _hashed(_of_run(request))


def _of_run(request: RunRequest) -> list[str | None]:
    told = [request.run_id, request.subject, request.label, request.instructions, request.mode]
    return [*told, request.runner]


def waiting(context: Context, schedules: Iterable[Schedule]) -> dict[str, str]:
    """Those of the schedules that may not run, by their ids, and why."""
    asked = list(schedules)
    if context.code_allowed or not asked:
        return {}
    if (reason := refusal(context)) is not None:
        return dict.fromkeys((each.id for each in asked), reason)
    given, modes = consents(context.workspace), known_modes(context)
    found = (
        (each.id, _objection(given.get(each.id), _assignment(context.settings, modes, each)))
        for each in asked
    )
    return {schedule_id: reason for schedule_id, reason in found if reason is not None}


def _objection(given: Consent | None, assigned: dict[str, Any]) -> str | None:
    if given is None:
        return "nobody has approved this schedule yet"
    if given.digest != _hashed(assigned):
        return "the schedule, its runner or its mode changed since it was approved"
    return None


def require(context: Context, what: str) -> None:
    """Refuse with E_UNTRUSTED unless a person agreed; ``what`` names the act, as in "run tests"."""
    reason = refusal(context)
    if reason is None:
        return
    raise SidecarError(
        ErrorCode.UNTRUSTED,
        f"To {what} would execute the workspace's own code, and {reason}.",
        hint="A person must run `sidecar trust` in the workspace; no tool can.",
    )
