"""Runs a configured command; its exit status is one check, its JUnit report many."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from validation import findings, interpreters, junit
from validation.checks import Check, Status
from validation.interpreters import Interpreter
from validation.plan import Stage
from validation.process import Outcome
from validation.report import Figure, StageResult
from validation.run import Run

EVIDENCE_LINES = 15
FINDINGS_BYTES = 2_000_000
# What automake and others take for "skipped": the command found that it cannot run here.
COULD_NOT_RUN = 77


def run(run: Run, stage: Stage) -> StageResult:
    """One check for the command, or those of the JUnit report that it writes."""
    python = run.python
    missing = _missing(run, stage, python)
    if missing or isinstance(python, str):
        return StageResult(stage, not_run=missing or f"Python cannot be used: {python}.")
    folder = run.folder(stage)
    words = {
        "{bin}": str(Path(python.executable).parent),
        "{python}": python.executable,
        "{artefacts}": str(folder),
        "{root}": str(run.plan.root),
    }
    outcome = run.start(stage, [_filled(word, words) for word in stage.argv])
    if outcome.ending == "exit" and outcome.returncode == COULD_NOT_RUN:
        return StageResult(stage, not_run=_excuse(run, outcome), seconds=outcome.seconds)
    told = run.relative(outcome.output(FINDINGS_BYTES))
    result = StageResult(
        stage,
        checks=tuple(_checks(run, stage, outcome, words)),
        seconds=outcome.seconds,
        findings=tuple(findings.read(told, stage.name)),
        artefacts=tuple(sorted(path.name for path in folder.iterdir())),
    )
    if stage.figures:
        return replace(result, figures=_figures(Path(_filled(stage.figures, words))))
    return result


def _missing(run: Run, stage: Stage, python: Interpreter | str) -> str:
    if isinstance(python, str):
        return f"The project's Python cannot be used: {python}."
    if stage.module and stage.module not in python.modules:
        return f"{stage.module} is not installed in the project's Python."
    if stage.interpreter and stage.interpreter == ".".join(map(str, python.version[:2])):
        return f"Python {stage.interpreter} is the one that runs the main tests."
    if stage.interpreter and interpreters.find(stage.interpreter, run.directory) is None:
        return f"No Python {stage.interpreter} that runs was found on this machine."
    return ""


def _excuse(run: Run, outcome: Outcome) -> str:
    """Why a command could not run, in its own last words."""
    said = run.relative(outcome.tail(1)).strip().removeprefix("not run: ")
    return f"It could not run here: {said or 'it did not say why'}."


def _filled(word: str, words: dict[str, str]) -> str:
    for name, value in words.items():
        word = word.replace(name, value)
    return word


def _checks(run: Run, stage: Stage, outcome: Outcome, words: dict[str, str]) -> list[Check]:
    told = run.relative(outcome.output())
    own = _own_check(stage, outcome, told)
    if not stage.junit:
        return [own]
    try:
        checks = junit.read(Path(_filled(stage.junit, words)))
    except (OSError, junit.BadJUnitError) as error:
        reason = error if isinstance(error, junit.BadJUnitError) else "none was written"
        text = f"Its JUnit report cannot be read: {reason}.\n{_last(told)}"
        return [replace(own, status=Status.ERROR, message=text)]
    checks = [replace(c, category=stage.category, id=f"{stage.name}: {c.id}") for c in checks]
    explained = own.status is Status.PASSED or any(check.bad for check in checks)
    return checks if explained else [*checks, own]


def _own_check(stage: Stage, outcome: Outcome, told: str) -> Check:
    place = next(findings.read(told, stage.name), None)
    passed = outcome.ending == "exit" and outcome.returncode == 0
    broke = outcome.ending != "exit" or (outcome.returncode or 0) < 0
    status = Status.PASSED if passed else Status.ERROR if broke else Status.FAILED
    check = Check(stage.name, status, stage.category, seconds=outcome.seconds)
    if passed:
        return check
    reason = outcome.reason or f"It ended with status {outcome.returncode}."
    return replace(
        check,
        message=f"{reason}\n{_last(told)}",
        file=place.file if place else "",
        line=place.line if place else None,
        hint=stage.hint,
    )


def _last(text: str) -> str:
    return "\n".join(text.splitlines()[-EVIDENCE_LINES:])


def _figures(path: Path) -> tuple[Figure, ...]:
    try:
        return tuple(Figure(**entry) for entry in json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return ()
