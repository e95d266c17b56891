"""Rules about the shape of the schedules file: JSON, the list, the fields' spelling."""

from __future__ import annotations

from collections.abc import Iterator

from sidecar.domain import conflict, json, schedules, tree
from sidecar.domain.edit import Edit
from sidecar.domain.finding import Fix, Severity, SyntaxProblem
from sidecar.domain.kind import Kind
from sidecar.domain.project import Project
from sidecar.domain.schedules import Schedule, SchedulesFile
from sidecar.domain.schedules_edit import set_fields
from sidecar.domain.source import Span
from sidecar.domain.suggest import nearest
from sidecar.rules.rule import Hit, rule
from sidecar.rules.schedules_cause import shown


@rule("SC003", Severity.ERROR, Kind.SCHEDULES)
def json_invalid(file: SchedulesFile, _: Project) -> Iterator[Hit]:
    """The file is not the JSON that roo-scheduler's JSON.parse accepts.

    One such error and it loads no schedule at all, without a message; the next schedule saved in
    its form then replaces the whole file. Comments, trailing commas and a byte order mark are
    such errors. A name that stands twice is accepted, but only its last value counts.

    Bad:
        {
          "schedules": [
            {"id": "1", "name": "Nightly",},
          ]
        }
    Bad:
        {"schedules": [{"id": "1" "name": "Nightly"}]}
    Good:
        {"schedules": [{"id": "1", "name": "Nightly"}]}
    """
    total = file.product.total
    for problem in _syntax(file):
        if problem.kind in json.TOLERATED:
            yield Hit(problem.span, problem.message, problem.fixes, Severity.WARNING)
        else:
            yield Hit(problem.span, _with_consequence(problem, total), problem.fixes)


def _syntax(file: SchedulesFile) -> tuple[SyntaxProblem, ...]:
    def judge(text: str) -> tuple[SyntaxProblem, ...]:
        return schedules.parse(text, path=file.path).syntax

    return conflict.explained(file.source.text, file.syntax, judge)


def _with_consequence(problem: SyntaxProblem, total: int) -> str:
    lost = f"0 of {total} schedules" if total else "no schedule"
    return f"{problem.message} roo-scheduler loads {lost} and says nothing."


@rule("SC005", Severity.ERROR, Kind.SCHEDULES)
def wrong_schema(file: SchedulesFile, _: Project) -> Iterator[Hit]:
    """The file or an entry has a shape that roo-scheduler never runs.

    It reads `{"schedules": [...]}` and sets a timer only for entries with `"scheduleType":
    "time"`, in its own spelling (`timeInterval`, not `time_interval`). Entries of other tools
    (cron, triggers, snake_case) are listed and never run.

    Bad:
        {"schedules": [{"id": "1", "schedule_type": "time", "time_interval": 5,
                        "time_unit": "minute"}]}
    Bad:
        [{"id": "1", "scheduleType": "time", "timeInterval": "5", "timeUnit": "minute"}]
    Bad:
        {"Schedules": []}
    Good:
        {"schedules": [{"id": "1", "scheduleType": "time", "timeInterval": "5",
                        "timeUnit": "minute"}]}
    """
    if file.valid:
        yield from _shape(file)
        for problem in file.problems:
            if tree.to_value(_item(file, problem.index)) is not None:
                yield Hit(problem.span, f"{problem.message} roo-scheduler never runs it.")
        for schedule in file.schedules:
            yield from _entry_shape(file, schedule)


def _item(file: SchedulesFile, index: int) -> tree.Node | None:
    return file.list_node.items[index] if file.list_node else None


def _shape(file: SchedulesFile) -> Iterator[Hit]:
    root = file.document.root
    if file.product.verdict != "silently-empty" or root is None:
        return
    span = Span(root.span.start, root.span.start + 1)
    message = f"roo-scheduler loads no schedule and says nothing: {file.product.reason}."
    if isinstance(root, tree.Sequence):
        edits = (
            Edit(Span(root.span.start, root.span.start), '{"schedules": '),
            Edit(Span(root.span.end, root.span.end), "}"),
        )
        yield Hit(span, message, (Fix('Wrap the list in {"schedules": ...}', edits),))
        return
    fixes = _shape_fixes(root) if isinstance(root, tree.Mapping) else ()
    empty = isinstance(root, tree.Mapping) and not root.entries
    yield Hit(span, message, fixes, Severity.WARNING if empty else None)


def _shape_fixes(root: tree.Mapping) -> tuple[Fix, ...]:
    if root.get("schedules") is not None:
        return ()
    for entry in root.entries:
        name = str(entry.key.value)
        if isinstance(entry.value, tree.Sequence) and nearest(name, ["schedules"]):
            edit = Edit(entry.key.span, '"schedules"')
            return (Fix("Rename the list to `schedules`", (edit,)),)
    at = root.span.start + 1
    text = '"schedules": []' + (", " if root.entries else "")
    return (Fix("Add an empty list `schedules`", (Edit(Span(at, at), text),)),)


def _entry_shape(file: SchedulesFile, schedule: Schedule) -> Iterator[Hit]:
    kind = schedule.raw.get("scheduleType")
    if kind == "time":
        return
    inactive = schedule.values.get("active") is False
    severity = Severity.WARNING if inactive else None
    never = f'roo-scheduler never runs "{schedule.label}"'
    if schedule.snake_case:
        message = f"{never}: it reads `timeInterval`, not `time_interval`, and so on."
        yield Hit(schedule.place("id", "name"), message, (_camel_case(schedule),), severity)
        return
    fixes: tuple[Fix, ...] = ()
    if "timeInterval" in schedule.fields and "timeUnit" in schedule.fields:
        edits = set_fields(file, schedule, {"scheduleType": "time"})
        fixes = (Fix('Set `scheduleType` to "time"', edits, safe=False),)
    said = "it has no `scheduleType`" if kind is None else f"`scheduleType` is {shown(kind)}"
    message = f'{never}: {said}; only "time" with `timeInterval` and `timeUnit` gets a timer.'
    yield Hit(schedule.place("scheduleType", "id", "name"), message, fixes, severity)


def _camel_case(schedule: Schedule) -> Fix:
    """Rename the keys; ``scheduleType`` is added by the next fix where it is missing."""
    edits = tuple(
        Edit(each.key_span, f'"{each.name}"')
        for each in schedule.fields.values()
        if each.key != each.name
    )
    return Fix("Rename the fields to roo-scheduler's spelling", edits, safe=False)
