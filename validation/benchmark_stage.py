"""Runs the benchmarks, and again where one run cannot tell a slower program from a busy machine."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import replace

from validation import benchmark_gate, pytest_stage
from validation.baseline import Baseline
from validation.benchmark_gate import Change, Comparison
from validation.benchmark_json import Sample
from validation.plan import Stage
from validation.report import StageResult
from validation.run import Run

Samples = dict[str, list[Sample]]


def run(run: Run, stage: Stage) -> StageResult:
    """One check for each benchmark, and each beside its baseline; makes one where there is none."""
    first = pytest_stage.run(run, stage)
    if first.not_run:
        return first
    baseline = Baseline(run.baseline, _machine(run)) if run.baseline else None
    known = baseline.load() if baseline and not run.new_baseline else {}
    samples = {sample.name: [sample] for sample in first.samples}
    seconds = first.seconds
    while baseline and seconds < stage.limit:
        names = _undecided(run, samples, known)
        if not names:
            break
        again = _again(run, stage, names)
        seconds += again.seconds
        if not _take(samples, again):
            break
    note = _keep(baseline, samples, known) if baseline else ""
    return replace(
        first,
        seconds=seconds,
        benchmarks=tuple(_compared(run, samples, known)),
        warnings=(*first.warnings, *([note] if note else [])),
    )


def _machine(run: Run) -> str:
    """What a time depends on, apart from the program."""
    version = ".".join(map(str, run.python.version)) if not isinstance(run.python, str) else "?"
    return f"Python {version}, {platform.system()} {platform.machine()}, {os.cpu_count()} CPUs"


def _compared(run: Run, samples: Samples, known: Mapping[str, list[Sample]]) -> list[Comparison]:
    limit = run.plan.thresholds.benchmark_ratio
    return [
        benchmark_gate.compare(several, known.get(name, []), limit)
        for name, several in samples.items()
    ]


def _undecided(run: Run, samples: Samples, known: Mapping[str, list[Sample]]) -> list[str]:
    """Benchmarks that another process has to measure."""
    if run.cancellation:
        return []
    names = []
    for found in _compared(run, samples, known):
        name = found.benchmark.name
        several = samples[name]
        if len(several) >= run.plan.benchmark_runs or not found.benchmark.enough:
            continue
        fresh = found.change is Change.NEW and not benchmark_gate.settled(several)
        if fresh or found.change is Change.UNSURE:
            names.append(name)
    return names


def _again(run: Run, stage: Stage, names: Sequence[str]) -> StageResult:
    # In a folder of its own: the first run's reports are the ones to keep.
    return pytest_stage.run(run, replace(stage, name=f"{stage.name} again"), only=names)


def _take(samples: Samples, again: StageResult) -> bool:
    """Add what was measured again; whether there was anything."""
    for sample in again.samples:
        samples.setdefault(sample.name, []).append(sample)
    return bool(again.samples)


def _keep(baseline: Baseline, samples: Samples, known: Mapping[str, list[Sample]]) -> str:
    """Store the baseline of new benchmarks; what went wrong with that, in a sentence."""
    new = {
        name: benchmark_gate.calm(several)
        for name, several in samples.items()
        if name not in known and benchmark_gate.settled(several)
    }
    if not new:
        return ""
    try:
        baseline.store({**known, **new})
    except OSError as error:
        return f"The benchmarks' baseline was not kept: {error.strerror}."
    return ""
