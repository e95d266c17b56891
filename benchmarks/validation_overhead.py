"""What the harness costs beside bare pytest: `python -P benchmarks/validation_overhead.py [OUT]`.

200 trivial tests in 10 files, each way of running them in turn, so that a busy moment hits all.
Judged by processor seconds of all processes, medians of the repeats: what else the machine does
moves the wall clock far more than what is to be measured; that is shown beside. *Process start* is
a run of the harness whose only stage is a Python that does nothing, less that Python: it is paid
once however many tests there are.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

FILES = 10
TESTS = 20
REPEATS = int(os.environ.get("SIDECAR_REPEATS", "9"))
LIMIT_SECONDS = 60
WITHOUT = 0.10  # the limits of the issue: over bare pytest, and over `coverage run`
WITH = 0.05
NOTHING = """
[[tool.sidecar.validation.stage]]
name = "nothing"
category = "nothing"
command = ["{python}", "-P", "-c", ""]
"""


def project(root: Path) -> Path:
    """The project, with a module so that there is something to cover."""
    (root / "tests").mkdir(parents=True)
    (root / "sums.py").write_text("def add(a, b):\n    return a + b\n")
    (root / "conftest.py").write_text("")
    (root / "pyproject.toml").write_text(NOTHING)
    for file in range(FILES):
        lines = ["from sums import add", ""]
        for number in range(TESTS):
            lines += [f"def test_{number}():", f"    assert add({number}, 1) == {number + 1}", ""]
        (root / f"tests/test_{file}.py").write_text("\n".join(lines))
    return root


def ways(root: Path, folder: Path) -> dict[str, list[str]]:
    """Each way of running it."""
    python = [sys.executable, "-P"]
    ours = [*python, "-m", "validation", str(root), "--allow-code", "--quiet",
            f"--python={sys.executable}", f"--json={folder / 'report.json'}"]  # fmt: skip
    quiet = ["-m", "pytest", "-q", "-p", "no:cacheprovider"]
    data = f"--data-file={folder / 'data'}"
    return {
        "python": [*python, "-c", ""],
        "harness, no tests": [*ours, "--category=nothing"],
        "pytest": [*python, *quiet],
        "harness": [*ours, "--category=tests"],
        "coverage run": [*python, "-m", "coverage", "run", "--branch", data, *quiet],
        "harness with coverage": [*ours, "--category=tests", "--category=coverage"],
    }


def seconds(command: list[str], cwd: Path) -> tuple[float, float]:
    """Processor and wall seconds of a command; one that fails ends the measurement."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "COVERAGE_"))}
    start, before = perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, timeout=LIMIT_SECONDS,
                          check=False)  # fmt: skip
    wall, after = perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{command}: {done.returncode}\n{done.stdout.decode()[-2000:]}")
    taken = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return taken, wall


def measure() -> dict[str, list[tuple[float, float]]]:
    """All times of each way; the first round warms the caches and is not counted."""
    with tempfile.TemporaryDirectory(prefix="sidecar-overhead-") as name:
        folder = Path(name).resolve()
        root = project(folder / "project")
        times: dict[str, list[tuple[float, float]]] = {way: [] for way in ways(root, folder)}
        for number in range(REPEATS + 1):
            for way, command in ways(root, folder).items():
                taken = seconds(command, root)
                if number:
                    times[way].append(taken)
    return times


def judged(times: dict[str, list[float]], clock: str) -> list[dict[str, object]]:
    """The two overheads beside their limits, round by round: a round shares its noise."""
    rounds = [dict(zip(times, row, strict=True)) for row in zip(*times.values(), strict=True)]
    start = statistics.median(r["harness, no tests"] - r["python"] for r in rounds)
    without = [(r["harness"] - start) / r["pytest"] - 1 for r in rounds]
    covered = [(r["harness with coverage"] - start) / r["coverage run"] - 1 for r in rounds]
    of = f"{clock} time, median of {len(rounds)} rounds of {FILES * TESTS} tests, "
    of += f"less {start:.3f} s process start"
    return [
        {"name": "overhead without coverage", "value": 100 * statistics.median(without),
         "unit": "%", "limit": 100 * WITHOUT, "definition": f"over bare pytest, {of}"},
        {"name": "overhead with coverage", "value": 100 * statistics.median(covered),
         "unit": "%", "limit": 100 * WITH, "definition": f"over `coverage run`, {of}"},
    ]  # fmt: skip


def main() -> int:
    """Measure and print; 1 where a limit is passed."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    times = measure()
    for way, values in times.items():
        for clock, column in zip(("processor", "wall"), zip(*values, strict=True), strict=True):
            low, middle, high = statistics.quantiles(column, n=4)
            print(f"{way:24} {clock:9} {middle:.3f} s (quartiles {low:.3f} to {high:.3f})")
    figures = judged({way: [p for p, _ in values] for way, values in times.items()}, "processor")
    shown = judged({way: [w for _, w in values] for way, values in times.items()}, "wall")
    for figure in (*figures, *shown):
        print(f"{figure['name']}: {figure['value']:.1f} % (limit {figure['limit']:.0f} %), "
              f"{figure['definition']}")  # fmt: skip
    print(f"load {load:.2f} at the start, {datetime.now(UTC):%Y-%m-%d}")
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(json.dumps(figures), encoding="utf-8")
    return 0 if all(f["value"] <= f["limit"] for f in figures) else 1  # type: ignore[operator]


if __name__ == "__main__":
    sys.exit(main())
