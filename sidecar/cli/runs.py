"""``sidecar runs``: what ran, what runs and what waits; one of them in full, or as it goes on."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from datetime import datetime

from sidecar.cli.arguments import add_workspace_argument
from sidecar.cli.following import LOOK_SECONDS, Follower
from sidecar.cli.main import refuse
from sidecar.cli.root import root_of
from sidecar.cli.visible import as_json, one_line, visible
from sidecar.domain.run import RunRecord, RunState, run_name
from sidecar.engine.late_queue import queueing
from sidecar.host.workspace import open_workspace
from sidecar.services.context import Context
from sidecar.services.project import zone
from sidecar.services.run_requests import OPEN, queue_of, workspace_id
from sidecar.services.runs import shown

MOST = 1_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("id", nargs="?", help="one run: its id, or the name of its folder")
    parser.add_argument("--follow", action="store_true", help="show what is new until Ctrl-C")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--count", type=int, default=20, metavar="N", help="runs to show (default: 20)"
    )
    add_workspace_argument(parser)


def run(options: argparse.Namespace) -> int:
    """Exit 0 with the runs; for one run that has ended, 1 unless it succeeded."""
    context = queueing(open_workspace(root_of(options)))
    if options.id is not None:
        return _one(context, options)
    records = _newest(context, max(1, min(options.count, MOST)))
    if options.json:
        print(as_json({"runs": [shown(each) for each in records]}))
    else:
        for line in _lines(context, records):
            print(one_line(line))
    if options.follow:
        _follow(context, {each.run_id: each.state for each in records})
    return 0


def _newest(context: Context, count: int) -> list[RunRecord]:
    """The newest runs of the workspace, the oldest of them first."""
    records = queue_of(context).runs(workspace=workspace_id(context), limit=count)
    return records[::-1]


def _lines(context: Context, records: list[RunRecord]) -> Iterator[str]:
    if not records:
        yield "Nothing has run yet."
    for record in records:
        yield _line(context, record)


def _line(context: Context, record: RunRecord) -> str:
    tz = zone(context.settings.timezone)
    moment = record.started or record.request.slot or record.created
    when = f"{moment.astimezone(tz):%Y-%m-%d %H:%M:%S}" if moment else "-"
    took = f", {_seconds(record.started, record.ended)} s" if record.started else ""
    why = f": {record.reason}" if record.reason else ""
    about = f"{record.request.label} by {record.request.runner}{took}{why}"
    return f"{when}  {record.state:<13} {about}  [{run_name(record.run_id)}]"


def _seconds(started: datetime | None, ended: datetime | None) -> str:
    if started is None or ended is None:
        return "…"
    return f"{(ended - started).total_seconds():.0f}"


def _one(context: Context, options: argparse.Namespace) -> int:
    record = _found(context, options.id)
    if options.follow:
        follower = Follower(context, record.run_id, lambda line: print(visible(line), flush=True))
        record = follower.until_it_rests() or record
    if options.json or not options.follow:
        folder = context.workspace.state.path(f"runs/{run_name(record.run_id)}")
        print(visible(as_json({**shown(record), "folder": str(folder)})))
    ended = record.state not in OPEN
    return int(ended and record.state is not RunState.SUCCEEDED)


def _found(context: Context, name: str) -> RunRecord:
    """The run that is meant; raises E_INVALID for none."""
    queue, workspace = queue_of(context), workspace_id(context)
    record = queue.get(name)
    if record is not None and record.request.workspace == workspace:
        return record
    for each in queue.runs(workspace=workspace, limit=MOST):
        if run_name(each.run_id) == name:
            return each
    raise refuse(f"There is no run `{name}` here.", hint="`sidecar runs` lists them.")


def _follow(context: Context, known: dict[str, RunState]) -> None:
    """Show each change of any run, until Ctrl-C."""
    while True:
        time.sleep(LOOK_SECONDS)
        for record in _newest(context, 100):
            if known.get(record.run_id) is not record.state:
                known[record.run_id] = record.state
                print(one_line(_line(context, record)), flush=True)
