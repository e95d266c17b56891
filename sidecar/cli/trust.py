"""``sidecar trust``: show or give the consent that running a workspace's code needs."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from sidecar.cli.arguments import add_workspace_argument
from sidecar.cli.main import refuse
from sidecar.cli.root import root_of
from sidecar.cli.visible import as_json, visible
from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.domain.schedules import Schedule
from sidecar.engine.late_queue import queueing
from sidecar.engine.runners.catalog import command_of
from sidecar.host.workspace import open_workspace
from sidecar.services import trust
from sidecar.services.context import Context
from sidecar.services.run_requests import release
from sidecar.services.schedule_plan import read


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add_workspace_argument(parser)
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument(
        "--show", action="store_true", help="only show what may run, and since when"
    )
    choice.add_argument("--revoke", action="store_true", help="take all consent back")
    parser.add_argument(
        "--schedules",
        nargs="*",
        metavar="ID",
        help="approve the schedules too, as they stand: those named, else all of them",
    )


def run(options: argparse.Namespace) -> int:
    """Show what may run here and record the consent, which any change of it ends."""
    context = queueing(open_workspace(root_of(options)))
    if options.revoke:
        known = trust.revoke(context.workspace)
        print("The consent is taken back." if known else "There was no consent.")
        return 0
    schedules = _schedules(context)
    offered = trust.offer(context, _chosen(schedules, options.schedules))
    print("What may run in this workspace once it is trusted:")
    print(visible(as_json(offered.commands)))
    for each in offered.assignments:
        print(visible(f"\nSchedule `{each['id']}`, everything that an agent would be told:"))
        print(visible(as_json(each)))
    for name, words in trust.runners(context.settings).items():
        if not words and (preset := command_of(context.settings, name)):
            print(f"The runner `{name}` starts: {' '.join(preset)}")
    if not options.show:
        trust.grant(context, offered)
        _release(context, schedules)
    print(_verdict(context))
    for schedule in schedules:
        reason = trust.may_run(context, schedule)
        print(visible(f"{schedule.label}: {'may run' if reason is None else f'waits, {reason}'}"))
    return 0


def _release(context: Context, schedules: Sequence[Schedule]) -> None:
    """Let waiting runs go on; where their queue is out of reach its scheduler does, later."""
    try:
        for released in release(context, schedules):
            print(visible(f"It may go on: {released.request.label}"))
    except SidecarError as error:
        if error.code is not ErrorCode.UNAVAILABLE:
            raise
        print(visible(f"Runs that wait for this go on later: {error}"))


def _schedules(context: Context) -> Sequence[Schedule]:
    """The workspace's schedules; none where the file is missing."""
    try:
        return read(context)[0].schedules
    except SidecarError as error:
        if error.code is not ErrorCode.NOT_FOUND:
            raise
        return ()


def _chosen(schedules: Sequence[Schedule], ids: Sequence[str] | None) -> list[Schedule]:
    """Those meant by ``--schedules``; raises E_INVALID for an id that no schedule has."""
    known = {each.id for each in schedules}
    for each in ids or ():
        if each not in known:
            raise refuse(f"There is no schedule `{each}`.", hint=f"The ids are: {sorted(known)}.")
    return [each for each in schedules if ids is not None and (not ids or each.id in ids)]


def _verdict(context: Context) -> str:
    given = trust.consent(context.workspace)
    if given is None:
        return "\nNot trusted."
    if trust.is_trusted(context):
        return f"\nTrusted since {given.given_at}."
    return f"\nTrusted at {given.given_at}, but what may run has changed since: not trusted."
