"""The benchmarks that later runs are compared with, kept in a file for each kind of machine."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from validation.benchmark_json import Sample
from validation.replacing import replace

SCHEMA = 2
LIMIT_BYTES = 50_000_000


@dataclass(frozen=True)
class Baseline:
    """The samples in a file that belong to one Python on one kind of machine."""

    path: Path
    machine: str

    def load(self) -> dict[str, list[Sample]]:
        """The samples of each benchmark; none where there are none, or none that can be read."""
        try:
            entries = self._all().get(self.machine, [])
            samples = [Sample(**{**e, "fastest": tuple(e["fastest"])}) for e in entries]
        except (KeyError, TypeError, AttributeError):
            return {}
        found: dict[str, list[Sample]] = {}
        for sample in samples:
            found.setdefault(sample.name, []).append(sample)
        return found

    def store(self, samples: Mapping[str, Sequence[Sample]]) -> None:
        """Replace this machine's samples, and leave those of others; raises OSError."""
        own = [asdict(sample) for several in samples.values() for sample in several]
        data = {"schema": SCHEMA, "machines": {**self._all(), self.machine: own}}
        replace(self.path, json.dumps(data).encode())

    def _all(self) -> dict[str, Any]:
        try:
            if not self.path.is_file() or self.path.stat().st_size > LIMIT_BYTES:
                return {}
            data = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        known = isinstance(data, dict) and data.get("schema") == SCHEMA
        machines = data.get("machines") if known else None
        return machines if isinstance(machines, dict) else {}
