"""Mutation testing of a bounded sample of changed functions, by cosmic-ray on a copy.

Tells whether the tests would notice: a mutant that no test fails on has survived. The stage's own
checks are only that the tests pass on the copy and fail where the copy is broken on purpose; the
mutants are a figure and warnings, for a survivor is a question to a person, not a failure.
"""

from __future__ import annotations

import ast
import json
import random
import shlex
import shutil
import sqlite3
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from validation import changed_lines, discovery
from validation.checks import Check, Status
from validation.findings import Finding
from validation.interpreters import Interpreter
from validation.plan import Stage
from validation.process import Outcome
from validation.report import Figure, StageResult
from validation.run import Run

STARTER = Path(__file__).with_name("inside") / "mutant_tests.py"
ENTRY = STARTER.with_name("mutant_entry.py")
SAMPLE = 20
COPY_BYTES = 200_000_000
# A mutant that makes an endless loop is found by this many times the duration of the tests.
PATIENCE = 3.0
LEAST_SECONDS = 10.0
CONTROL = "raise RuntimeError('a control of the mutation stage')\n"


@dataclass(frozen=True)
class Mutant:
    """One change to one place, and what the tests made of it: killed, survived or nothing yet."""

    file: str
    line: int
    function: str
    operator: str
    outcome: str
    change: str


@dataclass(frozen=True)
class Bench:
    """The copy, and how its tests are run."""

    run: Run
    stage: Stage
    copy: Path
    python: tuple[str, ...]
    arguments: tuple[str, ...]
    files: tuple[str, ...]
    deadline: float

    def start(self, argv: Sequence[str | Path]) -> Outcome:
        """Run something in the stage's folder, within what is left of the stage's time."""
        left = max(1.0, self.deadline - time.monotonic())
        return self.run.start(replace(self.stage, limit=left), argv)

    def command(self, *, learn: bool = False) -> list[str]:
        """The tests on the copy as it stands; to ``learn``, which of them reach what."""
        known = str(self.run.folder(self.stage) / "reached.json")
        files = [str(self.copy / file) for file in self.files] if learn else []
        options = json.dumps({"learn": learn, "known": known, "files": files})
        tests = [*self.python, str(ENTRY), options, "-x", "-q", "-p", "no:cacheprovider"]
        return [sys.executable, "-I", str(STARTER), str(self.copy), *tests, *self.arguments]


def run(run: Run, stage: Stage) -> StageResult:
    """Sample, check that the sample means something, mutate, report."""
    python = run.python
    missing = _missing(python)
    if missing or isinstance(python, str):
        return StageResult(stage, not_run=missing)
    targets = _targets(run, stage)
    if not targets:
        return StageResult(stage, not_run="No function of the project has changed lines.")
    (run.folder(stage) / "reached.json").unlink(missing_ok=True)
    bench = Bench(
        run, stage,
        copy=_copied(run.plan.root, run.folder(stage) / "copy"),
        python=(python.executable, *python.isolation),
        arguments=stage.argv or _usual(run),
        files=tuple(sorted(targets)),
        deadline=time.monotonic() + stage.limit,
    )  # fmt: skip
    try:
        return _measured(bench, targets)
    finally:
        shutil.rmtree(bench.copy, ignore_errors=True)


def _missing(python: Interpreter | str) -> str:
    if isinstance(python, str):
        return f"The project's Python cannot be used: {python}."
    if "pytest" not in python.modules:
        return "pytest is not installed in the project's Python."
    if find_spec("cosmic_ray") is None:
        return "cosmic-ray is not installed beside this harness."
    return ""


def _usual(run: Run) -> tuple[str, ...]:
    """What the main tests are run with."""
    return next((s.argv for s in run.plan.stages if s.kind == "pytest" and not s.full), ())


def _targets(run: Run, stage: Stage) -> dict[str, set[int]]:
    """The lines that may be mutated, by file: changed functions, or the stage's own files."""
    root = run.plan.root
    if stage.paths:
        chosen: dict[str, set[int] | None] = {
            path.relative_to(root).as_posix(): None
            for path in discovery.walk(root)
            if any(discovery.below(path.relative_to(root).as_posix(), p) for p in stage.paths)
        }
    else:
        try:
            chosen = dict(changed_lines.changed(root, run.plan.changed_from))
        except changed_lines.GitError:
            return {}
    found = {file: _functions(root / file, lines) for file, lines in chosen.items()}
    return {file: lines for file, lines in found.items() if lines and not _is_test(file)}


def _is_test(file: str) -> bool:
    name = file.rpartition("/")[2]
    folders = file.split("/")[:-1]
    return name.startswith(("test_", "conftest")) or "tests" in folders or "testing" in folders


def _functions(path: Path, changed: set[int] | None) -> set[int]:
    """The lines of the bodies of functions that have a changed line; all where None is given."""
    if path.suffix != ".py":
        return set()
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return set()
    found: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            whole = set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
            if changed is None or whole & changed:
                found |= set(range(node.body[0].lineno, (node.end_lineno or node.lineno) + 1))
    return found


def _annotations(path: Path) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Where types stand: a changed one changes nothing that runs."""
    found: list[ast.expr | None] = []
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.AnnAssign | ast.arg):
            found.append(node.annotation)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.append(node.returns)
    return [
        ((node.lineno, node.col_offset), (node.end_lineno or 0, node.end_col_offset or 0))
        for node in found
        if node is not None
    ]


def _copied(root: Path, copy: Path) -> Path:
    shutil.rmtree(copy, ignore_errors=True)
    copied = 0
    for path in discovery.walk(root):
        copied += path.stat().st_size
        if copied > COPY_BYTES:
            break
        target = copy / path.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    return copy


def _measured(bench: Bench, targets: dict[str, set[int]]) -> StageResult:
    stage = bench.stage
    clean = bench.start(bench.command(learn=True))
    checks = [_check(stage, "the tests pass on the copy", clean, passed=clean.returncode == 0)]
    if clean.returncode == 0:
        broken = _broken(bench, targets)
        told = "the tests fail where the copy is broken"
        checks.append(_check(stage, told, broken, passed=broken.returncode == 1))
    if any(check.bad for check in checks):
        return StageResult(stage, tuple(checks), seconds=clean.seconds)
    session = _prepared(bench, targets, max(LEAST_SECONDS, PATIENCE * clean.seconds))
    if isinstance(session, str):
        error = Check("cosmic-ray", Status.ERROR, stage.category, session)
        return StageResult(stage, (*checks, error), seconds=clean.seconds)
    done = bench.start([*_cosmic_ray(), "exec", session.with_suffix(".toml"), session])
    mutants = _results(session)
    return StageResult(
        stage,
        tuple(checks),
        seconds=clean.seconds + done.seconds,
        figures=(_figure(mutants, done.reason),),
        findings=tuple(_finding(m) for m in mutants if m.outcome == "SURVIVED"),
        warnings=(f"mutation: {done.reason}",) if done.reason else (),
    )


def _check(stage: Stage, name: str, outcome: Outcome, *, passed: bool) -> Check:
    status = Status.PASSED if passed else Status.ERROR
    message = "" if passed else f"{outcome.reason}\n{outcome.tail(10)}".strip()
    return Check(name, status, stage.category, message, seconds=outcome.seconds)


def _broken(bench: Bench, targets: dict[str, set[int]]) -> Outcome:
    """The tests with every target broken at once, which tells whether they import the copy."""
    kept = {bench.copy / file: (bench.copy / file).read_bytes() for file in targets}
    try:
        for path, data in kept.items():
            path.write_bytes(_with_control(data))
        outcome = bench.start(bench.command())
    finally:
        for path, data in kept.items():
            path.write_bytes(data)
    # Not collected is status 2, and as good as failed.
    code = 1 if outcome.returncode in (1, 2, 4) else outcome.returncode
    return Outcome(outcome.ending, code, outcome.seconds, outcome.reason, outcome.log)


def _with_control(data: bytes) -> bytes:
    """The control at the end, where no `from __future__` minds it."""
    return data + b"\n" + CONTROL.encode()


def _cosmic_ray() -> list[str]:
    return [sys.executable, "-P", "-c", "from cosmic_ray.cli import main; main()"]


def _prepared(bench: Bench, targets: dict[str, set[int]], timeout: float) -> Path | str:
    """A session that holds the sample; a text where cosmic-ray made none."""
    session = bench.run.folder(bench.stage) / "session.sqlite"
    session.unlink(missing_ok=True)
    lines = [
        "[cosmic-ray]",
        f"module-path = {json.dumps([str(bench.copy / file) for file in sorted(targets)])}",
        f"timeout = {timeout:.1f}",
        "excluded-modules = []",
        f"test-command = {json.dumps(shlex.join(bench.command()))}",
        '[cosmic-ray.distributor]\nname = "local"\n',
    ]
    config = session.with_suffix(".toml")
    config.write_text("\n".join(lines), encoding="utf-8")
    made = bench.start([*_cosmic_ray(), "init", config, session])
    if made.returncode != 0 or not session.exists():
        return f"cosmic-ray made no session.\n{made.tail(10)}"
    _sample(session, {str(bench.copy / file): found for file, found in targets.items()},
            bench.stage.sample or SAMPLE)  # fmt: skip
    return session


def _sample(session: Path, targets: dict[str, set[int]], count: int) -> None:
    """Keep ``count`` mutants: one a place at most, functions by turns, the same each time."""
    with closing(sqlite3.connect(session)) as database:
        rows = database.execute(
            "SELECT job_id, module_path, definition_name, start_pos_row, start_pos_col"
            " FROM mutation_specs ORDER BY module_path, start_pos_row, operator_name, occurrence"
        ).fetchall()
        random.Random(0).shuffle(rows)  # noqa: S311 - the same sample each time
        types = {path: _annotations(Path(path)) for path in targets}
        functions: dict[tuple[str, str], dict[tuple[int, int], str]] = {}
        for job, path, name, row, column in rows:
            place = (row, column)
            typed = any(first <= place < last for first, last in types.get(path, ()))
            if row in targets.get(path, ()) and not typed:
                functions.setdefault((path, name), {}).setdefault(place, job)
        queues = [list(places.values()) for _, places in sorted(functions.items())]
        kept: list[str] = []
        while queues and len(kept) < count:
            kept += [queue.pop() for queue in queues][: count - len(kept)]
            queues = [queue for queue in queues if queue]
        marks = ",".join("?" * len(kept))
        for table in ("mutation_specs", "work_items"):
            database.execute(f"DELETE FROM {table} WHERE job_id NOT IN ({marks})", kept)  # noqa: S608
        database.commit()


def _results(session: Path) -> list[Mutant]:
    copy = session.with_name("copy")
    with closing(sqlite3.connect(session)) as database:
        rows = database.execute(
            "SELECT module_path, start_pos_row, definition_name, operator_name, test_outcome, diff"
            " FROM mutation_specs LEFT JOIN work_results USING (job_id)"
            " ORDER BY module_path, start_pos_row"
        ).fetchall()
    return [
        Mutant(Path(path).relative_to(copy).as_posix(), line, name or "", operator,
               outcome or "", _change(diff or ""))
        for path, line, name, operator, outcome, diff in rows
    ]  # fmt: skip


def _change(diff: str) -> str:
    """`old` became `new`, from a diff."""
    kept = [row for row in diff.splitlines() if row[:1] in "+-" and row[:3] not in ("---", "+++")]
    old = " ".join(row[1:].strip() for row in kept if row.startswith("-"))
    new = " ".join(row[1:].strip() for row in kept if row.startswith("+"))
    return f"`{old[:120]}` may become `{new[:120]}`"


def _figure(mutants: list[Mutant], reason: str) -> Figure:
    """The rate among those that were judged, and how many were not, whyever."""
    tried = [mutant for mutant in mutants if mutant.outcome in ("KILLED", "SURVIVED")]
    killed = sum(mutant.outcome == "KILLED" for mutant in tried)
    functions = len({(mutant.file, mutant.function) for mutant in mutants})
    left = len(mutants) - len(tried)
    said = f"{killed} of {len(tried)} mutants that ran, in a sample of {len(mutants)} from "
    said += f"{functions} functions: how many changes of the code the tests notice"
    if left:
        said += f"; {left} not judged: {reason or 'they could not be run'}"
    return Figure("mutants killed", 100 * killed / len(tried) if tried else 0.0, "%", said)


def _finding(mutant: Mutant) -> Finding:
    told = f"{mutant.change} in {mutant.function}, and no test fails"
    rule = mutant.operator.removeprefix("core/")
    return Finding("mutation", rule, "warning", told, mutant.file, mutant.line)
