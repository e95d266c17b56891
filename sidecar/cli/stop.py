"""``sidecar stop``: end the workspace's sidecar, once what is under way was answered."""

from __future__ import annotations

import argparse
import os
import time

from sidecar.channel import seat
from sidecar.channel.message import Json
from sidecar.channel.place import Place, place_of
from sidecar.cli.arguments import add_workspace_argument
from sidecar.cli.root import root_of
from sidecar.domain.errors import ErrorCode, SidecarError

_PATIENCE_SECONDS = 30.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add_workspace_argument(parser)


def run(options: argparse.Namespace) -> int:
    """Ask it to end and wait until it has; exit code 0 also where none was running.

    Its clients stay: the next message of one of them starts a sidecar again.
    """
    place = place_of(str(root_of(options)))
    link = seat.ask(place, seat.greeting("stop", place))
    if link is None:
        print("No sidecar was running.")
        return 0
    link.close()
    until = time.monotonic() + _PATIENCE_SECONDS
    while (lock := seat.take(place)) is None:
        if _is_another(place, link.answer):
            print("The sidecar has ended; a client has started another one.")
            return 0
        if time.monotonic() > until:
            told = f"The sidecar, process {link.answer.get('pid')}, has not ended yet."
            raise SidecarError(ErrorCode.TIMEOUT, told)
        time.sleep(0.02)
    os.close(lock)
    print("The sidecar has ended.")
    return 0


def _is_another(place: Place, ended: Json) -> bool:
    """Whether a client that was just connecting has begun anew."""
    link = seat.ask(place, seat.greeting("status", place))
    if link is None:
        return False
    link.close()
    return bool(link.answer.get("pid") != ended.get("pid"))
