"""One agent on stdin and stdout, served in this process; the SDK is imported when it is needed."""

from __future__ import annotations

import argparse
import gc
import signal
from dataclasses import replace
from types import FrameType

from sidecar.channel import framing, opening
from sidecar.cli.root import root_of
from sidecar.engine.late_queue import LateQueue, opened
from sidecar.host.workspace import open_workspace
from sidecar.mcp.calls import ToolCalls
from sidecar.mcp.early import Descriptor, Early
from sidecar.services.context import Context
from sidecar.services.views import Views
from sidecar.workspace import logs


class _StoppedError(Exception):
    """A signal has come."""


def serve(options: argparse.Namespace, begun: opening.Opening | None) -> int:
    """Serve a client, which ``begun`` may have answered already, until it leaves or a signal comes.

    Returns the exit code.
    """
    context = open_workspace(root_of(options))
    logs.start(context.workspace.state)
    context = replace(context, queue=LateQueue(lambda: opened(context)))
    gc.freeze()
    gc.enable()
    try:
        _end_on_signals()
        return _serve(context, begun.hand_over() if begun else opening.claim())
    except _StoppedError:
        return 0


def _serve(context: Context, wire: opening.Wire) -> int:
    sink = Descriptor(wire.sink)
    incoming = framing.Incoming(wire.source, wire.read)
    calls = ToolCalls(Views(context))
    early = Early(calls, incoming, sink, opening.Answers(opening.manifest()), wire.answered)
    rest = early.serve()
    if rest is None:
        return 0
    gc.disable()  # as at the start: what is imported stays
    from sidecar.cli import serving  # noqa: PLC0415 - half of the memory, and few need it

    gc.freeze()
    gc.enable()
    return serving.serve_rest(context, early, rest, sink, wire)


def _end_on_signals() -> None:
    def stop(_number: int, _frame: FrameType | None) -> None:
        raise _StoppedError

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
