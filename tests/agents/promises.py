"""What a run by a real agent promised and kept: counted, printed, reported."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Result:
    """Which promises of one scenario were kept."""

    runner: str
    package: str
    scenario: str
    not_run: str = ""
    passed: int = 0
    expected: int = 0
    complaints: list[str] = field(default_factory=list)
    status: str = ""
    reason: str = ""
    tool_calls: int | None = None
    processes: int = 0
    left: int = 0
    seconds: float = 0.0
    seconds_to_end: float | None = None

    def check(self, promise: str, *, kept: bool) -> None:
        """Count a promise."""
        self.expected += 1
        self.passed += kept
        if not kept:
            self.complaints.append(promise)


def line(result: Result) -> str:
    """One run on one line, its broken promises below."""
    head = f"{result.runner:<13} {result.scenario:<10}"
    if result.not_run:
        return f"{head} not run: {result.not_run}"
    told = (
        f"{head} {result.passed}/{result.expected} kept, {result.status}, processes"
        f" {result.processes}, left {result.left}, {result.seconds} s"
    )
    if result.seconds_to_end is not None:
        told += f", ended in {result.seconds_to_end} s"
    return "\n".join([told, *(f"    not so: {each}" for each in result.complaints)])


def total(told: Sequence[Result]) -> str:
    """The closing line."""
    run = [result for result in told if not result.not_run]
    kept = sum(result.passed for result in run), sum(result.expected for result in run)
    good = sum(not result.complaints for result in run)
    left = sum(result.left for result in run)
    return (
        f"{good}/{len(run)} runs right, {kept[0]}/{kept[1]} promises kept, {left} processes left,"
        f" {len(told) - len(run)} not run"
    )


def report(told: Sequence[Result]) -> None:
    """``agents-runs.json`` and ``agents-runs.md`` in the folder of reports."""
    folder = ROOT / "state" / "reports"
    folder.mkdir(parents=True, exist_ok=True)
    load = [round(each, 1) for each in os.getloadavg()]
    measured = {"processors": os.cpu_count(), "load": load}
    document = {"machine": measured, "total": total(told), "runs": [asdict(r) for r in told]}
    (folder / "agents-runs.json").write_text(json.dumps(document, indent=2) + "\n", "utf-8")
    columns = ("runner", "package", "scenario", "status", "kept", "processes", "left", "s", "end s")
    rows = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    for each in told:
        kept = f"{each.passed}/{each.expected}" if not each.not_run else f"not run: {each.not_run}"
        cells = (each.runner, each.package, each.scenario, each.status, kept, each.processes)
        ended = each.seconds_to_end if each.seconds_to_end is not None else ""
        rows.append("| " + " | ".join(map(str, (*cells, each.left, each.seconds, ended))) + " |")
    text = (
        f"# Runs by real agents\n\n{total(told)}; load {load[0]} on {os.cpu_count()} processors.\n"
    )
    (folder / "agents-runs.md").write_text("\n".join([text, *rows, ""]), "utf-8")
