"""What a benchmark run needs beside its events: the plugin of `pytest_entry` for that."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

REPEATS = 60
ROUNDS = 4000


class Benchmarks:
    """Chooses among the benchmarks, and measures the machine beside each of them."""

    def __init__(self, path: str, only: Collection[str]) -> None:
        self._path = path
        self._only = frozenset(only)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        """Leave out what is not to be measured again."""
        if self._only:
            others = [item for item in items if item.nodeid not in self._only]
            items[:] = [item for item in items if item.nodeid in self._only]
            config.hook.pytest_deselected(items=others)

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[None]:
        """Tell how long the fixed piece of work took at best, before and after."""
        before = fixed_work_seconds()
        yield
        seconds = min(before, fixed_work_seconds())
        line = json.dumps({"event": "speed", "id": item.nodeid, "seconds": seconds}) + "\n"
        file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.write(file, line.encode())
        os.close(file)


def fixed_work_seconds() -> float:
    """The second fastest of 60 times the same work: half a millisecond of what programs do."""
    return sorted(_timed() for _ in range(REPEATS))[1]


def _timed() -> float:
    start = time.perf_counter()
    total, texts = 0, {}
    for number in range(ROUNDS):
        total += number * number % 7
        texts[number & 255] = str(number)
    sorted(texts.items())
    return time.perf_counter() - start
