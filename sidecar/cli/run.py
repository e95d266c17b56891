"""``sidecar run``: run a schedule now, or all that are due, in this process."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from sidecar.cli import consent
from sidecar.cli.arguments import add_workspace_argument
from sidecar.cli.following import Follower
from sidecar.cli.root import root_of
from sidecar.cli.visible import visible
from sidecar.domain.run import RunRecord, RunState
from sidecar.engine.executing import executing, look
from sidecar.host.workspace import open_workspace
from sidecar.services import trust
from sidecar.services.context import Context
from sidecar.services.run_requests import enqueue_schedule, queue_of, workspace_id
from sidecar.services.schedule_plan import named, read

FAILED, WAITS = 1, 3
_UNDER_WAY = (RunState.QUEUED, RunState.WAITING, RunState.RUNNING)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("name", nargs="?", help="the schedule's id or name")
    which.add_argument("--due", action="store_true", help="what is due by the calendar, if any")
    consent.add_trust_argument(parser)
    add_workspace_argument(parser)


def run(options: argparse.Namespace) -> int:
    """Exit 0 when all succeeded, 1 when one did not, 3 when one waits for a person or an agent."""
    context = open_workspace(root_of(options), code_allowed=consent.given(options))
    with executing(context) as own:
        if options.due:
            records = _due(own)
        else:
            records = [enqueue_schedule(own, named(read(own)[0], options.name))[0]]
        return max([_followed(own, record) for record in records], default=0)


def _due(context: Context) -> Sequence[RunRecord]:
    """The runs of the slots that are due, put into the queue unless they are there."""
    look(context)
    queue, workspace = queue_of(context), workspace_id(context)
    states = (*_UNDER_WAY, RunState.NEEDS_CONSENT)
    found = [run for run in queue.runs(workspace=workspace, states=states) if run.request.slot]
    if context.code_allowed:
        for record in found:
            trust.allow_run(context, record.request)
            queue.settle(record.run_id, RunState.QUEUED)
    if not found:
        print("Nothing is due.")
    return found[::-1]


def _followed(context: Context, record: RunRecord) -> int:
    """Show the run until it rests; what it is worth as an exit code."""

    def show(line: str) -> None:
        print(visible(f"{record.request.label}  {line}"), flush=True)

    ended = Follower(context, record.run_id, show).until_it_rests() or record
    if ended.state is RunState.NEEDS_CONSENT:
        print("A person looks at it and approves it by `sidecar trust --schedules`.")
        return WAITS
    if ended.state is RunState.READY:
        print("It waits for an agent: delegate_task with action claim gives it to one.")
        return WAITS
    return 0 if ended.state is RunState.SUCCEEDED else FAILED
