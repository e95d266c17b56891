"""A sidecar that a channel has started: nobody's child, ended by nobody's terminal."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Sequence
from typing import NoReturn


def main(arguments: Sequence[str]) -> NoReturn:
    """Serve the workspace whose root, folder, lock and socket are given, until nobody needs it."""
    root, folder, lock, listener = arguments
    if os.fork():
        os._exit(0)
    os.setsid()
    os.chdir("/")
    for descriptor in (int(lock), int(listener)):
        os.set_inheritable(descriptor, False)  # noqa: FBT003
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    # A child of a child imports the rest: whoever has started us waits for the first one.
    from sidecar.host import hosting  # noqa: PLC0415

    code = hosting.run(root, folder, int(lock), socket.socket(fileno=int(listener)))
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)
