"""Figures of this machine, shown and never judged: `python -P benchmarks/figures.py [OUT.json]`.

Each is measured through what a user uses: real files with fsync, real HTTP, a real process.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

from sidecar.domain.kind import Kind
from sidecar.services.diagnosis import diagnose
from sidecar.services.project import load_project
from sidecar.settings import Settings
from sidecar.workspace.workspace import Workspace
from validation import probe
from validation.mcp_client import Client, McpError, StreamableHttp

WRITES = 300
CLIENTS = 11  # the specification's number
CALLS = 20
MODES = 250  # 2,003 lines
CHECKS = 10


def percentile(values: list[float], share: float) -> float:
    """The smallest value that at least that share of all values does not pass."""
    return sorted(values)[max(0, min(len(values) - 1, round(share * len(values)) - 1))]


def figure(name: str, value: float, unit: str, definition: str) -> dict[str, Any]:
    """One measured value as the harness reads it."""
    return {"name": name, "value": value, "unit": unit, "definition": definition}


def durable_writes() -> Iterator[dict[str, Any]]:
    """Appends to a log that are on the disk before the call returns."""
    with tempfile.TemporaryDirectory(prefix="sidecar-figures-") as folder:
        root = Path(folder).resolve()
        (root / "workspace").mkdir()
        workspace = Workspace.open(root / "workspace", user_dir=root / "user")
        times = [
            milliseconds(lambda: workspace.files.append("task_timing.tsv", b"a\tb\tc\n"))
            for _ in range(WRITES)
        ]
        workspace.close()
    said = f"one row appended with fsync, {WRITES} in turn"
    yield figure("persistent write p50", percentile(times, 0.5), "ms", said)
    yield figure("persistent write p99", percentile(times, 0.99), "ms", said)


def milliseconds(action: Callable[[], object]) -> float:
    """How long an action takes."""
    start = perf_counter()
    action()
    return (perf_counter() - start) * 1000


def concurrent_clients() -> Iterator[dict[str, Any]]:
    """Several clients of one sidecar over HTTP, each with its own session."""
    with probe.scratch_sidecar() as sidecar, probe.http_sidecar(sidecar) as base:
        headers = {"Authorization": f"Bearer {probe.token(sidecar)}"}

        def work(_number: int) -> tuple[list[float], int]:
            client, times, errors = Client(StreamableHttp(f"{base}/mcp", headers)), [], 0
            client.initialize()
            for _ in range(CALLS):
                try:
                    times.append(milliseconds(lambda: client.call("get_todo_status", {})))
                except McpError:
                    errors += 1
            return times, errors

        start = perf_counter()
        with ThreadPoolExecutor(CLIENTS) as pool:
            results = list(pool.map(work, range(CLIENTS)))
        seconds = perf_counter() - start
    times = [value for part, _ in results for value in part]
    said = f"get_todo_status, {CLIENTS} clients x {CALLS} calls over HTTP, {len(times)} answered"
    yield figure("concurrent calls", len(times) / seconds, "calls/s", said)
    yield figure("concurrent calls p99", percentile(times, 0.99), "ms", said)
    yield figure("concurrent errors", sum(errors for _, errors in results), "calls", said)


def large_file() -> Iterator[dict[str, Any]]:
    """The diagnosis of a large mode file, as an editor asks for it after each change."""
    mode = "\n".join([
        "  - slug: mode-{0}", "    name: Mode {0}", "    roleDefinition: |-", "      You do {0}.",
        "      And nothing else.", "    groups:", "      - read", "      - edit",
    ])  # fmt: skip
    text = "\n".join(
        ["# all modes", "customModes:", *(mode.format(i) for i in range(MODES)), "", ""]
    )
    with tempfile.TemporaryDirectory(prefix="sidecar-figures-") as folder:
        root = Path(folder).resolve()
        workspace = Workspace.open(root, user_dir=root / "user")
        settings = Settings(timezone="UTC")
        project = load_project(workspace, settings, datetime.now(UTC))
        times = [
            milliseconds(lambda: diagnose(Kind.MODES, ".roomodes", text, project, settings))
            for _ in range(CHECKS)
        ]
    lines = len(text.splitlines())
    said = f"all rules on a mode file of {lines} lines, median of {CHECKS}"
    yield figure("check of a large mode file", statistics.median(times), "ms", said)


def main() -> int:
    """Measure, print, and write OUT where one is named."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    said = "1 minute average when the measurement began: how busy the machine was"
    figures = [figure("machine load", load, "", said)]
    for measure in (durable_writes, concurrent_clients, large_file):
        for found in measure():
            figures.append(found)
            print(f"{found['name']}: {found['value']:.4g} {found['unit']} ({found['definition']})")
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(json.dumps(figures), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
