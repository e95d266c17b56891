"""Rules about the schedules as entries: identity, unknown names, machine state."""

from __future__ import annotations

import json
from collections.abc import Iterator

from sidecar.domain import tree
from sidecar.domain.edit import Edit
from sidecar.domain.finding import Fix, Severity
from sidecar.domain.kind import Kind
from sidecar.domain.project import Project
from sidecar.domain.schedules import BOOKKEEPING, FIELDS, Schedule, SchedulesFile, canonical
from sidecar.domain.suggest import nearest
from sidecar.rules.rule import Hit, rule


def _identity(schedule: Schedule) -> tuple[str, str]:
    value = schedule.raw.get("id")
    return type(value).__name__, json.dumps(value, sort_keys=True)


@rule("SC015", Severity.ERROR, Kind.SCHEDULES)
def duplicate_id(file: SchedulesFile, _: Project) -> Iterator[Hit]:
    """Two schedules have the same id, or both have none.

    roo-scheduler writes what happened to the second one into the first; after its first run only
    the first is scheduled again, twice.

    Bad:
        {"schedules": [{"id": "1", "name": "A"}, {"id": "1", "name": "B"}]}
    Good:
        {"schedules": [{"id": "1", "name": "A"}, {"id": "2", "name": "B"}]}
    """
    first: dict[tuple[str, str], Schedule] = {}
    taken = {schedule.id for schedule in file.schedules}
    for schedule in file.schedules:
        earlier = first.setdefault(_identity(schedule), schedule)
        if earlier is schedule:
            continue
        same = f'the same id as "{earlier.label}"' if "id" in schedule.raw else "no id, as others"
        message = (
            f'"{schedule.label}" has {same}: roo-scheduler writes its state to the first of them '
            "and stops running it after one run."
        )
        yield Hit(schedule.place("id"), message, _new_id(schedule, taken))


def _new_id(schedule: Schedule, taken: set[str]) -> tuple[Fix, ...]:
    if "id" not in schedule.fields or not schedule.id:
        return ()
    new = next(
        text for number in range(2, 10_000) if (text := f"{schedule.id}-{number}") not in taken
    )
    taken.add(new)
    return (Fix(f"Give it the id `{new}`", (Edit(schedule.place("id"), json.dumps(new)),)),)


@rule("SC022", Severity.INFO, Kind.SCHEDULES)
def unknown_field(file: SchedulesFile, _: Project) -> Iterator[Hit]:
    """A field is none that roo-scheduler reads.

    Inside a schedule it is kept and ignored; beside `schedules` it is lost at the first write.

    Bad:
        {"schedules": [{"id": "1", "scheduleType": "time", "timeIntervall": "5"}]}
    Bad:
        {"version": 1, "schedules": []}
    Good:
        {"schedules": [{"id": "1", "scheduleType": "time", "timeInterval": "5"}]}
    """
    root = file.document.root
    if isinstance(root, tree.Mapping) and root.get("schedules") is not None:
        for entry in root.entries:
            if entry.key.value != "schedules":
                message = f"roo-scheduler drops `{entry.key.value}` when it writes the file."
                yield Hit(entry.key.span, message)
    for schedule in file.schedules:
        if schedule.raw.get("scheduleType") == "time":
            yield from _unknown_keys(schedule)


def _unknown_keys(schedule: Schedule) -> Iterator[Hit]:
    for entry in schedule.node.entries:
        key = str(entry.key.value)
        if key in FIELDS:
            continue
        meant = canonical(key) or nearest(key, FIELDS, cutoff=0.8)
        fixes: tuple[Fix, ...] = ()
        if meant and schedule.node.entry(meant) is None:
            fixes = (
                Fix(f"Rename it to `{meant}`", (Edit(entry.key.span, f'"{meant}"'),), safe=False),
            )
        hint = f" Did you mean `{meant}`?" if meant else ""
        yield Hit(entry.key.span, f"roo-scheduler keeps `{key}` and ignores it.{hint}", fixes)


@rule("SC023", Severity.INFO, Kind.SCHEDULES)
def state_in_git(file: SchedulesFile, _: Project) -> Iterator[Hit]:
    """The file holds what the scheduler notes after each run.

    `lastExecutionTime`, `nextExecutionTime` and their like belong to one machine. In git every
    run changes the file, and a merge carries one machine's state to another, which then skips or
    repeats runs. Keep the file out of git, or let the sidecar keep the state.

    Bad:
        {"schedules": [{"id": "1", "lastExecutionTime": "2025-05-01T10:00:00.000Z"}]}
    Good:
        {"schedules": [{"id": "1"}]}
    """
    for schedule in file.schedules:
        noted = [name for name in BOOKKEEPING if schedule.values.get(name)]
        if noted:
            names = ", ".join(f"`{name}`" for name in noted)
            message = f"One machine's state; in git every run changes this file: {names}."
            yield Hit(schedule.fields[noted[0]].key_span, message)
            return
