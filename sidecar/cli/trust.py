"""``sidecar trust``: show or give the consent that running a workspace's code needs."""

from __future__ import annotations

import argparse
import json

from sidecar.cli.arguments import add_workspace_argument
from sidecar.cli.workspace import open_workspace, root_of
from sidecar.services import trust


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add_workspace_argument(parser)
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument(
        "--show", action="store_true", help="only show what may run, and since when"
    )
    choice.add_argument("--revoke", action="store_true", help="take the consent back")


def run(options: argparse.Namespace) -> int:
    """Show what may run here and record the consent, which any change of it ends."""
    context = open_workspace(root_of(options))
    if options.revoke:
        known = trust.revoke(context.workspace)
        print("The consent is taken back." if known else "There was no consent.")
        return 0
    print("What may run in this workspace once it is trusted:")
    print(json.dumps(trust.commands(context.workspace, context.settings), indent=2, default=str))
    if not options.show:
        trust.grant(context)
    given = trust.consent(context.workspace)
    if given is None:
        print("Not trusted.")
    elif trust.is_trusted(context):
        print(f"Trusted since {given.given_at}.")
    else:
        print(f"Trusted at {given.given_at}, but what may run has changed since: not trusted.")
    return 0
