"""``sidecar resume``: let a schedule run again that was paused, or given up after failures."""

from __future__ import annotations

import argparse

from sidecar.cli.arguments import add_workspace_argument
from sidecar.cli.root import root_of
from sidecar.cli.visible import one_line
from sidecar.host.workspace import open_workspace
from sidecar.services import suspensions
from sidecar.services.schedule_plan import named, read


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("name", help="the schedule's id or name")
    add_workspace_argument(parser)


def run(options: argparse.Namespace) -> int:
    """Exit 0, whether something held the schedule back or not."""
    context = open_workspace(root_of(options))
    schedule = named(read(context)[0], options.name)
    lifted = suspensions.lift(context, schedule.id)
    told = f"held back since {lifted.at}: {lifted.reason}" if lifted else "nothing held it back"
    print(one_line(f"{schedule.label} runs again; {told}."))
    return 0
