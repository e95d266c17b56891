"""``sidecar next``: when the schedules run, by our calendar and by roo-scheduler's."""

from __future__ import annotations

import argparse
import heapq
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Any

from sidecar.cli.arguments import add_workspace_argument
from sidecar.cli.root import root_of
from sidecar.cli.visible import as_json, one_line
from sidecar.domain.calendar import Calendar, describe, explain, slots
from sidecar.host.workspace import open_workspace
from sidecar.services import suspensions, trust
from sidecar.services.context import Context
from sidecar.services.project import zone
from sidecar.services.schedule_plan import Planned, planned, read, stamp
from sidecar.services.schedules import ROO_FAILS

ROO = "roo-scheduler"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument(
        "--count", type=_positive, default=20, metavar="N", help="runs to show (default: 20)"
    )
    parser.add_argument("--explain", action="store_true", help="say where each time comes from")
    parser.add_argument("--compare", choices=[ROO], help="show what the product does beside ours")
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_workspace_argument(parser)


def _positive(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 10_000:
        raise argparse.ArgumentTypeError("must be from 1 to 10000")
    return number


def run(options: argparse.Namespace) -> int:
    """Print the next runs, then what cannot run and why."""
    context = open_workspace(root_of(options))
    report = _report(context, options)
    if options.json:
        print(as_json(report))
    else:
        print("\n".join(map(one_line, _lines(report))))
    return 0


def _slots(each: Planned, now: datetime) -> Iterator[tuple[datetime, int, Planned]]:
    if isinstance(each.calendar, Calendar):
        for slot in slots(each.calendar, now):
            yield slot, each.schedule.index, each


def _upcoming(everything: list[Planned], now: datetime) -> Iterator[tuple[datetime, Planned]]:
    """All slots of all schedules in order of time."""
    merged = heapq.merge(*(_slots(each, now) for each in everything), key=lambda item: item[:2])
    return ((slot, each) for slot, _, each in merged)


def _report(context: Context, options: argparse.Namespace) -> dict[str, Any]:
    """What the command says, as JSON; the plain form is made of it."""
    file, _ = read(context)
    now, tz = context.clock(), zone(context.settings.timezone)
    everything = list(planned(context, file))
    report: dict[str, Any] = {"path": file.path, "timezone": tz.key, "now": stamp(now)}
    report["runs"] = [
        _run(each, slot, options)
        for slot, each in islice(_upcoming(everything, now), options.count)
    ]
    report["problems"] = [problem.message for problem in file.problems] + [
        f'"{each.schedule.label}": {each.calendar}'
        for each in everything
        if not isinstance(each.calendar, Calendar) and each.calendar.malformed
    ]
    report["held_back"] = list(_held_back(context, everything))
    if options.explain:
        report["calendars"] = [_calendar(each) for each in everything]
    if options.compare:
        report["compare"] = [_comparison(each) for each in everything]
    return report


def _held_back(context: Context, everything: list[Planned]) -> Iterator[dict[str, str]]:
    """The schedules that have slots and yet will not run, and why."""
    able = [each.schedule for each in everything if isinstance(each.calendar, Calendar)]
    suspended, waiting = suspensions.everything(context), trust.waiting(context, able)
    for each in able:
        about = {"schedule_id": each.id, "name": each.label}
        if each.id in suspended:
            yield {**about, "state": "suspended", "reason": suspended[each.id].reason}
        elif each.id in waiting:
            yield {**about, "state": "needs-consent", "reason": waiting[each.id]}


def _run(each: Planned, slot: datetime, options: argparse.Namespace) -> dict[str, Any]:
    found: dict[str, Any] = {
        "at": stamp(slot),
        "schedule_id": each.schedule.id,
        "name": each.schedule.label,
        "mode": each.schedule.text("mode"),
    }
    if isinstance(each.calendar, Calendar):
        found["local"] = slot.astimezone(each.calendar.tz).isoformat(timespec="seconds")
        if options.explain:
            found["why"] = explain(each.calendar, slot)
    return found


def _calendar(each: Planned) -> dict[str, Any]:
    known = isinstance(each.calendar, Calendar)
    lines = describe(each.calendar) if isinstance(each.calendar, Calendar) else [str(each.calendar)]
    if known and each.overdue_since:
        lines.append(f"overdue since {stamp(each.overdue_since)}")
    if known and each.expired:
        lines.append("expired")
    return {"schedule_id": each.schedule.id, "name": each.schedule.label, "lines": lines}


def _comparison(each: Planned) -> dict[str, Any]:
    return {
        "schedule_id": each.schedule.id,
        "name": each.schedule.label,
        "sidecar": stamp(each.next),
        ROO: stamp(each.roo_next),
        "same": each.next == each.roo_next and not each.roo_invalid,
        "note": ROO_FAILS if each.roo_invalid else "",
    }


def _lines(report: dict[str, Any]) -> Iterator[str]:
    yield f"{report['path']}, times in {report['timezone']}"
    for each in report["runs"]:
        shown = each["local"].replace("T", " ")
        yield f"{shown}  {each['name']} ({each['mode']})"
        if "why" in each:
            yield f"    {each['why']}"
    if not report["runs"]:
        yield "No run is due."
    for each in report["held_back"]:
        yield f"{each['name']}: {each['state']}, {each['reason']}"
    for each in report.get("calendars", ()):
        yield f"{each['name']}: " + "; ".join(each["lines"])
    for each in report.get("compare", ()):
        differs = "" if each["same"] else "  (they differ)"
        note = f"  {each['note']}" if each["note"] and not each[ROO] else ""
        ours, theirs = each["sidecar"] or "never", each[ROO] or "never"
        yield f"{each['name']}: sidecar {ours}, {ROO} {theirs}{differs}{note}"
    for problem in report["problems"]:
        yield f"Cannot run: {problem}"
