"""A process that forks workers, lets them write, and kills each at a random moment.

It imports everything once, so that a thousand deaths take minutes. It reads one order a line, as
JSON, and answers each with a line: how long the worker lived. What a worker acknowledged lies in
the order's ``acknowledged`` file, one JSON line a call.
"""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

from sidecar.services import registry
from sidecar.services.calling import called
from tests.faults.orders import serve
from tests.faults.streams import STREAMS, State

MOST_CALLS = 400


def work(order: dict[str, Any]) -> None:
    """Call the stream's tool again and again; each answer is noted after it was given."""
    stream = STREAMS[order["stream"]]
    tool = registry.TOOLS[stream.tool]
    context = State.of(Path(order["root"])).context
    noted = os.open(order["acknowledged"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number in range(MOST_CALLS):
        answer = called(tool, context, stream.arguments(number)).structured()
        line = json.dumps({"number": number, "answer": answer}) + "\n"
        os.write(noted, line.encode())


def killed(order: dict[str, Any]) -> float:
    """The seconds that a worker was given."""
    began = time.monotonic()
    worker = os.fork()
    if worker == 0:
        os.setpgid(0, 0)
        try:
            work(order)
        finally:
            os._exit(3)
    noted = Path(order["acknowledged"])
    # Half of the workers die somewhere in their first calls, the others in the midst of many.
    if order["wait"]:
        while not noted.exists() and time.monotonic() - began < 20:
            time.sleep(0.001)
    time.sleep(order["delay"])
    try:
        os.killpg(worker, signal.SIGKILL)
    except ProcessLookupError:
        os.kill(worker, signal.SIGKILL)
    os.waitpid(worker, 0)
    return time.monotonic() - began


if __name__ == "__main__":
    serve(lambda order: {"lived": killed(order)})
