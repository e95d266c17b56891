"""A process that forks workers, each of which carries a run from step to step and may be killed.

A worker dies before the given call into the operating system or the database, whichever thread
makes it. It keeps what its steps returned in a file, as an engine does, and the next worker goes on
from there. Orders come as JSON, one a line; each is answered by how many such calls were made.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from tests.engine.agents import Bench
from tests.faults.orders import serve

# Every call that changes something durable, or starts or opens what does.
CALLS = frozenset({
    "execute", "fsync", "fdatasync", "replace", "rename", "unlink", "remove", "write", "open",
    "mkdir", "flock", "fork_exec", "ftruncate", "rmdir", "renameat2",
})  # fmt: skip
ATTEMPTS = 3


class Killer:
    """Counts calls, and kills this process before one of them."""

    def __init__(self, at: int) -> None:
        self.calls = 0
        self._at = at
        self._numbers = itertools.count(1)

    def __call__(self, _: Any, event: str, function: Any) -> None:
        """Be told of a call, as ``sys.setprofile`` tells it."""
        if event == "c_call" and getattr(function, "__name__", "") in CALLS:
            self.calls = next(self._numbers)
            if self.calls == self._at:
                os.kill(os.getpid(), signal.SIGKILL)


def carry(order: dict[str, Any]) -> None:
    """Go on with the run where the worker before left it, to its end."""
    kept = Path(order["kept"])
    known = json.loads(kept.read_text()) if kept.exists() else {"outcomes": []}

    def keep(**values: Any) -> None:
        known.update(values)
        temporary = kept.with_suffix(".new")
        temporary.write_text(json.dumps(known))
        temporary.replace(kept)

    at = Bench(Path(order["root"]), Path(order["folder"]), rollback="on-failure")
    at.tell(*order["steps"])
    request = at.request()
    killer = Killer(order["at"])
    threading.setprofile(killer)
    sys.setprofile(killer)
    if known.get("started"):
        at.execution.recover(request)
    keep(started=True)
    begun = known.get("begun") or at.execution.begin(request)
    keep(begun=begun)
    while len(known["outcomes"]) < ATTEMPTS and _again(known["outcomes"]):
        number = len(known["outcomes"]) + 1
        outcome = at.execution.attempt(request, begun, number, threading.Event())
        keep(outcomes=[*known["outcomes"], outcome])
    finished = at.execution.finish(request, begun, known["outcomes"])
    sys.setprofile(None)
    keep(finished=finished, calls=killer.calls)


def _again(outcomes: list[dict[str, Any]]) -> bool:
    return not outcomes or outcomes[-1]["status"] in ("failed", "timed-out")


def carried(order: dict[str, Any]) -> dict[str, int]:
    """How a worker ended that was forked for an order."""
    worker = os.fork()
    if worker == 0:
        os.environ["SIDECAR_HOME"] = order["home"]
        try:
            carry(order)
        except BaseException as error:  # noqa: BLE001 - the parent shall see why
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(3)
        os._exit(0)
    return {"status": os.waitpid(worker, 0)[1]}


if __name__ == "__main__":
    serve(carried)
