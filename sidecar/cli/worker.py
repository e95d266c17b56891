"""``sidecar worker``: only work on runs that others have queued, for the hosts of a fleet."""

from __future__ import annotations

import argparse
import signal
import threading
from pathlib import Path

from sidecar.cli import consent
from sidecar.cli.main import refuse
from sidecar.cli.visible import one_line
from sidecar.engine.executing import working
from sidecar.host.workspace import report_settings
from sidecar.services.context import Client, Context
from sidecar.services.trust import refusal
from sidecar.settings import load
from sidecar.workspace.user_dirs import user_config_file
from sidecar.workspace.workspace import Workspace


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument(
        "--engine-url", metavar="URL", help="the fleet's database (default: setting `engine_url`)"
    )
    parser.add_argument(
        "--workspace",
        action="append",
        required=True,
        metavar="ID=DIR",
        help="a workspace's id in the fleet and its folder here; again for another",
    )
    consent.add_trust_argument(parser)


def run(options: argparse.Namespace) -> int:
    """Work until Ctrl-C or SIGTERM; runs under way are put back for another worker."""
    contexts = [_opened(each, options) for each in options.workspace]
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with working(contexts, ended, _tell):
        for context in () if ended.is_set() else contexts:
            reason = refusal(context)
            told = "trusted" if reason is None else f"nothing is executed, because {reason}"
            print(f"working for {context.workspace.root}: {told}", flush=True)
        ended.wait()
    print("stopped", flush=True)
    return 0


def _tell(sentence: str) -> None:
    print(one_line(sentence), flush=True)


def _opened(given: str, options: argparse.Namespace) -> Context:
    """The workspace that ``ID=DIR`` means, under that id; raises E_INVALID."""
    name, _, folder = given.partition("=")
    root = Path(folder).expanduser()
    if not name or not folder or not root.is_dir():
        raise refuse(f"`{given}` is not ID=DIR with a folder that exists.")
    flags = {"workspace_ids": {name: str(root)}}
    if options.engine_url is not None:
        flags["engine_url"] = options.engine_url
    loaded = load(root, user_config_file(), **flags)
    report_settings(loaded.problems)
    settings = loaded.settings
    workspace = Workspace.open(root, state_dir=settings.state_dir, protected=settings.protected)
    return Context(
        workspace, settings, client=Client("worker"), code_allowed=consent.given(options)
    )
