"""Runs a plan's stages one after the other."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

from validation import (
    benchmark_stage,
    check_stage,
    command_stage,
    mutation_stage,
    probe_stage,
    pytest_stage,
    syntax_stage,
)
from validation.plan import Stage
from validation.progress import Progress
from validation.report import Counts, Report, StageResult, build
from validation.run import Run

RUNNERS: dict[str, Callable[[Run, Stage], StageResult]] = {
    "syntax": syntax_stage.run,
    "check": check_stage.run,
    "command": command_stage.run,
    "pytest": pytest_stage.run,
    "benchmark": benchmark_stage.run,
    "mutation": mutation_stage.run,
    "tools": probe_stage.run,
    "transports": probe_stage.run,
}
NO_CONSENT = "It executes the workspace's code, and nobody has allowed that (--allow-code)."


def execute(run: Run) -> Report:
    """Run what is wanted and report on all of it, cancelled or not."""
    started = datetime.now(UTC)
    wanted = [stage for stage in run.plan.stages if _is_wanted(run, stage)]
    run.progress.stages = len(wanted)
    results: list[StageResult] = []
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(_lane, run, [s for s in wanted if s.lane == "beside"], results)
        _lane(run, [stage for stage in wanted if stage.lane == "main"], results)
        other.result()
    _lane(run, [stage for stage in wanted if stage.lane == "alone"], results)
    results.sort(key=lambda result: wanted.index(result.stage))
    return build(run.plan, results, started=started, cancelled=bool(run.cancellation))


def _lane(run: Run, stages: list[Stage], results: list[StageResult]) -> None:
    for stage in stages:
        result = _refused(run, stage, results) or _ran(run, stage)
        results.append(result)
        run.progress.finish(line(result))


def _is_wanted(run: Run, stage: Stage) -> bool:
    if not run.wanted or stage.category in run.wanted:
        return True
    mapped = {category.name for category in run.plan.categories} | {"coverage"}
    return stage.sorts and bool(mapped & run.wanted)


def _refused(run: Run, stage: Stage, before: list[StageResult]) -> StageResult | None:
    reason = ""
    if run.cancellation:
        reason = "The run was cancelled before it."
    elif run.fail_fast and any(check.bad for result in before for check in result.checks):
        reason = "The run stopped at the first failure."
    elif stage.full and not run.full:
        reason = f"Only in a full run (--full). {stage.hint}".strip()
    elif stage.executes and not run.allow_code:
        reason = NO_CONSENT
    return StageResult(stage, not_run=reason) if reason else None


def _ran(run: Run, stage: Stage) -> StageResult:
    if stage.lane == "beside":
        run.progress.say(f"... {stage.name} (beside the others)")
        run = replace(run, progress=Progress())
    run.progress.stage(stage.name)
    return RUNNERS[stage.kind](run, stage)


def line(result: StageResult) -> str:
    """One stage in one line, for a log."""
    if result.not_run:
        return f"[not run] {result.stage.name}: {result.not_run}"
    counts = Counts.of(result.checks)
    word = "ok" if counts.decided and counts.passed == counts.decided else "no tests"
    word = "failed" if counts.failed + counts.errors else word
    told = f"{counts.passed}/{counts.decided}"
    skipped = f", {counts.skipped} skipped" if counts.skipped else ""
    return f"[{word}] {result.stage.name}: {told}{skipped} in {result.seconds:.1f} s"
