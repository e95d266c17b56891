"""Which differences are called slower, and which are put down to the machine."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from validation import benchmark_gate, benchmark_json
from validation.baseline import Baseline
from validation.benchmark_gate import Change
from validation.benchmark_json import Sample

LIMIT = 1.2


def sample(floor: float, speed: float | None = 1.0, rounds: int = 100) -> Sample:
    """A run whose fastest rounds spread by 2 %, in seconds."""
    fastest = tuple(floor * (1 + n / 500) for n in range(-1, 9))
    return Sample("b", floor * 1.1, floor / 10, floor * 1.2, floor / 10, rounds, fastest, speed)


BASE = [sample(1.00), sample(1.02), sample(1.9, speed=1.8)]


@pytest.mark.parametrize(
    ("runs", "change"),
    [
        ([sample(1.0)], Change.SAME),
        ([sample(1.19)], Change.SAME),
        # Slower once may be the machine: only three calm runs convict.
        ([sample(1.5)], Change.UNSURE),
        ([sample(1.5), sample(1.5)], Change.UNSURE),
        ([sample(1.5), sample(1.5), sample(1.5)], Change.SLOWER),
        ([sample(1.5), sample(1.55), sample(1.7)], Change.SLOWER),
        ([sample(1.5), sample(1.6), sample(1.7)], Change.UNSURE),  # they do not agree
        ([sample(1.3), sample(1.3), sample(1.7), sample(1.8), sample(1.9)], Change.UNSURE),
        # One fast run acquits: disturbance only ever adds time.
        ([sample(1.5), sample(1.5), sample(1.05)], Change.SAME),
        ([sample(1.9, speed=1.8), sample(1.9, speed=1.8), sample(1.05, speed=1.8)], Change.SAME),
        # Runs on a busy machine count for nothing, however many.
        ([sample(1.9, speed=1.8)] * 12, Change.UNSURE),
        ([sample(1.5), sample(1.5), *[sample(1.9, speed=1.8)] * 10], Change.UNSURE),
        # A machine that was never as fast when the baseline was made.
        ([sample(1.0, speed=0.5)], Change.SAME),
        # Faster is not said after one lucky run either.
        ([sample(0.5)], Change.UNSURE),
        ([sample(0.5)] * 3, Change.FASTER),
        ([sample(0.5), sample(1.0)], Change.SAME),
        ([sample(1.5, rounds=4)] * 3, Change.UNSURE),
        ([sample(1.5, speed=None)] * 3, Change.SLOWER),
    ],
)
def test_a_benchmark_is_judged_by_its_calm_runs(runs: list[Sample], change: Change):
    base = BASE if runs[0].speed else [sample(1.0, speed=None)] * 3

    assert benchmark_gate.compare(runs, base, LIMIT).change is change


def test_without_a_baseline_there_is_no_verdict():
    found = benchmark_gate.compare([sample(1.0)], [], LIMIT)

    assert (found.change, found.ratio) == (Change.NEW, None)


@pytest.mark.parametrize(
    ("runs", "good"),
    [
        ([sample(1.0), sample(1.02)], False),
        ([sample(1.0), sample(1.02), *[sample(1.5)] * 3], True),
        ([sample(1.0), *[sample(1.2)] * 4], False),
        ([sample(1.0), *[sample(1.9, speed=1.8)] * 4], False),
        ([sample(1.0), *[sample(1.9, speed=1.8)] * 8, sample(1.04)], True),
    ],
)
def test_a_baseline_is_good_when_its_two_best_calm_runs_agree(runs: list[Sample], good: bool):
    assert benchmark_gate.settled(runs) is good


def test_the_rank_test_agrees_with_values_worked_by_hand():
    """Normal approximation with corrections for ties and continuity."""
    values = [
        ([3, 4, 5, 6, 7], [1, 2, 3, 4, 5], 0.0569),
        ([1, 2, 3, 4], [1, 2, 3, 4], 0.5588),
        ([2, 2, 2], [1, 1, 1], 0.0234),
    ]
    for new, old, expected in values:
        assert benchmark_gate.mann_whitney(new, old) == pytest.approx(expected, abs=1e-4)
    assert benchmark_gate.mann_whitney([1, 1], [1, 1]) == 1.0
    assert benchmark_gate.mann_whitney([], [1]) == 1.0


def test_a_baseline_belongs_to_its_machine(tmp_path: Path):
    path = tmp_path / "state" / "benchmarks.json"
    Baseline(path, "Python 3.11").store({"b": [sample(1.0), sample(1.1)]})
    Baseline(path, "Python 3.12").store({"b": [sample(2.0)]})

    assert Baseline(path, "Python 3.11").load() == {"b": [sample(1.0), sample(1.1)]}
    assert Baseline(path, "Python 3.12").load() == {"b": [sample(2.0)]}
    assert Baseline(path, "Python 3.13").load() == {}


@pytest.mark.parametrize("text", ["", "[]", "null", '{"schema": 1}', '{"schema": 2}', "[" * 9999,
                                  '{"schema": 2, "machines": {"m": [{"name": 1}]}}',
                                  '{"schema": 2, "machines": {"m": 3}}'])  # fmt: skip
def test_a_broken_baseline_is_none(tmp_path: Path, text: str):
    path = tmp_path / "benchmarks.json"
    path.write_text(text)

    assert Baseline(path, "m").load() == {}
    Baseline(path, "m").store({"b": [sample(1.0)]})
    assert Baseline(path, "m").load() == {"b": [sample(1.0)]}


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right there")
def test_a_baseline_is_not_written_through_a_planted_link(tmp_path: Path):
    precious = tmp_path / "precious"
    precious.write_text("precious")
    for name in ("benchmarks.json", "benchmarks.json.new"):
        (tmp_path / name).symlink_to(precious)

    Baseline(tmp_path / "benchmarks.json", "m").store({"b": [sample(1.0)]})

    assert precious.read_text() == "precious"
    assert Baseline(tmp_path / "benchmarks.json", "m").load() == {"b": [sample(1.0)]}
    assert len(list(tmp_path.iterdir())) == 3


def test_a_report_without_raw_rounds_is_refused(tmp_path: Path):
    path = tmp_path / "benchmark.json"
    path.write_text(json.dumps({"benchmarks": [{"fullname": "b", "stats": {"median": 1}}]}))

    with pytest.raises(benchmark_json.BadBenchmarkError):
        benchmark_json.read(path)


SLEEPS = "import time\n\ndef test_b(benchmark):\n    benchmark(time.sleep, {})\n"
QUICK = """
[tool.pytest.ini_options]
addopts = "-p pytest_benchmark.plugin --benchmark-max-time=0.05"
[tool.sidecar.validation]
benchmark_runs = 5
"""


def test_a_baseline_is_made_kept_and_compared_with(project, validate, tmp_path: Path):
    """Sleeping takes at least its time, whatever else the machine does."""
    pytest.importorskip("pytest_benchmark")
    files = {"benchmarks/test_b.py": SLEEPS.format(0.004), "pyproject.toml": QUICK}
    root = project(files)
    options = {"category": "benchmark"}
    state = f"--state={tmp_path / 'state'}"

    first = validate(root, state, **options)
    assert (first.code, first.counts("benchmark")) == (0, (1, 0, 0, 0))
    assert first.report["benchmarks"][0]["change"] == "no baseline"
    assert first.report["benchmarks"][0]["runs"] >= 5

    (root / "benchmarks/test_b.py").write_text(SLEEPS.format(0.012))
    second = validate(root, state, **options)
    found = second.report["benchmarks"][0]
    assert found["ratio"] > 2
    # On a machine that is never calm the answer may be that it cannot be told.
    assert (second.code, found["change"]) in [(1, "slower"), (0, "not enough data")]

    third = validate(root, state, "--new-baseline", **options)
    assert (third.code, third.report["benchmarks"][0]["change"]) == (0, "no baseline")


def test_benchmarks_among_the_tests_are_not_measured(project, validate):
    pytest.importorskip("pytest_benchmark")
    text = "def test_b(benchmark):\n    benchmark(lambda: None)\n"
    answer = validate(project({"tests/test_b.py": text}), plugins=True)

    assert answer.counts() == (1, 0, 0, 0)
    assert answer.report["benchmarks"] == []
