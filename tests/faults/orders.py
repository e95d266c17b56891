"""A process that carries out orders: a line of JSON asks, a line of JSON answers."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]

Order = Callable[[dict[str, Any]], Any]


@contextmanager
def ordered(module: str) -> Iterator[Order]:
    """A process of a module that ``serve``s, as a function from an order to its answer."""
    command = [sys.executable, "-m", module]
    with subprocess.Popen(
        command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        source, sink = process.stdout, process.stdin
        assert source is not None
        assert sink is not None

        def ask(order: dict[str, Any]) -> Any:
            sink.write(json.dumps(order) + "\n")
            sink.flush()
            return json.loads(source.readline())

        yield ask
        sink.close()


def serve(carry_out: Order) -> None:
    """Carry out orders until the input ends."""
    for line in sys.stdin:
        print(json.dumps(carry_out(json.loads(line))), flush=True)
