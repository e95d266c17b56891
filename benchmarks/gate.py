"""Tries the benchmark gate: `python -P benchmarks/gate.py [REPEATS] [--json FILE]`.

Five small benchmarks get a baseline: four that compute, one that writes files. Then all are
measured REPEATS times (20) unchanged, which must raise no alarm, and REPEATS times with one of the
four, each in turn, doing 1.5 times its work, which must be found in 95 of 100 runs while the others
raise no alarm. Exit 1 where either fails. The one that writes files is not slowed: on a shared disk
its times differ by more than that from run to run.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

FOUND_SHARE = 0.95
PROJECT = {
    "pyproject.toml": """
[tool.pytest.ini_options]
addopts = "-p pytest_benchmark.plugin --benchmark-max-time=0.15"
""",
    "benchmarks/test_gate.py": '''
import json
import os
import random
import re

DATA = {"a": list(range(300)), "b": {str(n): n * 1.5 for n in range(200)}}
VALUES = [random.Random(n).random() for n in range(3000)]
WORD = re.compile(r"\\b(\\w+)-(\\d+)\\b")
TEXT = " ".join(f"word-{n} and more" for n in range(500))
SLOW = os.environ.get("SLOW_BENCHMARK", "")


def times(name, work):
    """Two units of work, three where this benchmark is the slow one."""
    for _ in range(3 if name == SLOW else 2):
        work()


def count():
    total = 0
    for number in range(1500):
        total += number * number % 7


def test_count(benchmark):
    benchmark(times, "count", count)


def test_json(benchmark):
    benchmark(times, "json", lambda: json.loads(json.dumps(DATA)))


def test_sort(benchmark):
    benchmark(times, "sort", lambda: sorted(VALUES))


def test_match(benchmark):
    benchmark(times, "match", lambda: WORD.findall(TEXT))


def test_file(benchmark, tmp_path):
    def write_and_read():
        (tmp_path / "file").write_bytes(b"x" * 50_000)
        (tmp_path / "file").read_bytes()

    benchmark(times, "file", write_and_read)
''',
}
SLOWED = ("count", "json", "sort", "match")


def measure(folder: Path, slow: str = "") -> dict[str, dict[str, Any]]:
    """One run of the harness; its comparisons by the benchmarks' short names."""
    out = folder / "report.json"
    command = [sys.executable, "-P", "-m", "validation", str(folder / "project"), "--quiet"]
    command += ["--allow-code", "--category=benchmark", f"--python={sys.executable}"]
    command += [f"--state={folder / 'state'}", f"--json={out}"]
    # Other plugins would only cost each of the hundreds of processes their import.
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "SLOW_BENCHMARK": slow}
    subprocess.run(command, env=environment, check=False, timeout=600)
    report = json.loads(out.read_text(encoding="utf-8"))
    return {item["name"].rpartition("_")[2]: item for item in report["benchmarks"]}


def load() -> str:
    """The machine's load over the last minute, where the system tells."""
    return f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"


def _baseline(folder: Path) -> None:
    for name, text in PROJECT.items():
        path = folder / "project" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    runs = 0
    while True:
        runs += 1
        found = measure(folder)
        if runs > 1 and all(item["change"] != "no baseline" for item in found.values()):
            break
        if runs == 6:
            sys.exit("The machine is too uneven for a baseline: not enough data.")
    print(f"baseline after {runs - 1} runs, load {load()}", flush=True)


def _try(folder: Path, repeats: int, *, slowed: bool) -> dict[str, Any]:
    alarms, found, unsure, processes, ratios = 0, 0, 0, 0, []
    begun = time.monotonic()
    for number in range(repeats):
        slow = SLOWED[number % len(SLOWED)] if slowed else ""
        comparisons = measure(folder, slow)
        for name, item in comparisons.items():
            processes += item["runs"]
            unsure += item["change"] == "not enough data"
            if name == slow:
                found += item["change"] == "slower"
                ratios.append(round(item["ratio"], 2))
            else:
                alarms += item["change"] == "slower"
        told = Counter(f"{n}: {c['change']}" for n, c in comparisons.items())
        print(f"  {number + 1:2} {slow:5} load {load()}  {', '.join(told)}", flush=True)
    figures = {"runs": repeats, "false alarms": alarms, "not enough data": unsure}
    figures |= {"found": found, "ratios": ratios} if slowed else {}
    return {**figures, "processes": processes, "seconds": round(time.monotonic() - begun)}


def main() -> int:
    """Baseline, unchanged runs, slowed runs, verdict."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("repeats", type=int, nargs="?", default=20)
    parser.add_argument("--only", choices=("unchanged", "slowed"), help="half of it")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory(prefix="sidecar-gate-") as scratch:
        folder = Path(scratch)
        _baseline(folder)
        for half in ("unchanged", "slowed"):
            if options.only in (None, half):
                print(f"{half}:")
                found[half] = _try(folder, options.repeats, slowed=half == "slowed")
    if options.json:
        options.json.write_text(json.dumps({**found, "load": load()}, indent=1), encoding="utf-8")
    return _judge(found)


def _judge(found: dict[str, dict[str, Any]]) -> int:
    """Print the counts beside what is expected; 1 where it is not reached."""
    good = True
    for half, figures in found.items():
        runs, alarms = figures["runs"], figures["false alarms"]
        judged = runs * (len(SLOWED) + (half == "unchanged"))
        print(f"{half}: {alarms} false alarms in {judged} comparisons of {runs} runs, 0 expected")
        good = good and alarms == 0
    if slowed := found.get("slowed"):
        least = math.ceil(FOUND_SHARE * slowed["runs"])
        print(f"slowed: {slowed['found']}/{slowed['runs']} found, {least} expected")
        print(f"ratios: {', '.join(map(str, slowed['ratios']))}")
        good = good and slowed["found"] >= least
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
