"""``python -m validation PATH``: the command line."""

from __future__ import annotations

import argparse
import json
import os
import secrets
import signal
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from validation import discovery, fingerprint, plan, process, quoting, recording, replacing, stages
from validation.history import History
from validation.progress import Progress
from validation.report import Report, Verdict
from validation.reports import files, github, markdown
from validation.run import Run

EXIT = {Verdict.PASSED: 0, Verdict.FAILED: 1, Verdict.INCOMPLETE: 3}
BAD_PLAN = 2
REPORTED = "reported"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m validation",
        description="Validate a project: exit 0 all passed, 1 something failed, 2 no usable plan, "
        "3 nothing failed but something that is wanted did not run.",
    )
    parser.add_argument("path", nargs="?", default=".", type=Path)
    parser.add_argument("--allow-code", action="store_true", help="execute the project's code")
    parser.add_argument("--category", action="append", default=[], help="run only this category")
    parser.add_argument("--full", action="store_true", help="also what needs Node or an editor")
    parser.add_argument("--fail-fast", action="store_true", help="stop at the first failure")
    parser.add_argument("--python", default="", help="the Python that runs the project's tests")
    parser.add_argument(
        "--pytest", action="append", default=[], metavar="ARG", help="an argument for pytest"
    )
    parser.add_argument("--keyword", default="", help="only tests that match, as pytest's -k")
    for form in files.FORMS:
        parser.add_argument(
            f"--{form}", type=Path, metavar="FILE", help=f"write the report as {form}"
        )
        parser.add_argument(f"--also-{form}", type=Path, metavar="FILE", help=argparse.SUPPRESS)
    parser.add_argument("--artefacts", type=Path, metavar="DIR", help="keep logs and raw reports")
    parser.add_argument(
        "--cancel-file", type=Path, metavar="FILE", help="end the run when this file appears"
    )
    parser.add_argument(
        "--state",
        type=Path,
        metavar="DIR",
        help="remember runs here: trends, flaky tests, baseline",
    )
    parser.add_argument(
        "--id", default="", help="the run's name; one is made up where it is missing"
    )
    parser.add_argument("--baseline", type=Path, metavar="FILE", help="benchmarks to compare with")
    parser.add_argument(
        "--new-baseline", action="store_true", help="let this run's benchmarks be the baseline"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress, no report on stdout")
    parser.add_argument("--list", action="store_true", help="show the plan and run nothing")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status tells the verdict."""
    options = _parser().parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="replace")
    root = options.path.resolve()
    if not root.is_dir():
        print(f"{options.path} is not a folder.", file=sys.stderr)
        return BAD_PLAN
    try:
        python = _absolute(options.python) or discovery.interpreter(root)
        chosen = plan.load(root, python, tuple(options.pytest), options.keyword)
    except plan.PlanError as error:
        print(error, file=sys.stderr)
        for path in filter(None, (options.json, options.also_json)):
            replacing.replace(path, json.dumps({"schema": 1, "problem": str(error)}).encode())
        return BAD_PLAN
    if options.list:
        return _show(chosen)
    return _run(chosen, options)


def _absolute(python: str) -> str:
    """A path as seen from here; a bare name stays for the PATH. A link stays: it marks a venv."""
    return os.path.abspath(python) if os.sep in python or "/" in python else python  # noqa: PTH100


def _show(chosen: plan.Plan) -> int:
    for stage in chosen.stages:
        marks = [name for name in ("executes", "optional", "full") if getattr(stage, name)]
        print(f"{stage.category}: {stage.name} ({', '.join([stage.kind, *marks])})")
    return 0


def _run(chosen: plan.Plan, options: argparse.Namespace) -> int:
    with ExitStack() as stack:
        directory = _directory(options.artefacts, stack)
        run = Run(
            plan=chosen,
            directory=directory,
            allow_code=options.allow_code,
            full=options.full,
            fail_fast=options.fail_fast,
            wanted=frozenset(options.category),
            baseline=_baseline(options),
            new_baseline=options.new_baseline,
            cancellation=_cancellation(options.cancel_file),
            progress=Progress(
                None if options.quiet else sys.stderr,
                directory / "progress.json" if options.artefacts else None,
            ),
        )
        code = _code(chosen, options)
        name = options.id or _new_id()
        try:
            report = stages.execute(run)
        finally:
            run.progress.close()
        checks = quoting.quoted(report.checks, chosen.root, report.started)
        report = replace(report, id=name, checks=checks)
        if options.state:
            report = recording.remembered(report, History(options.state / "history.ndjson"), code)
    _write(report, options)
    return EXIT.get(report.verdict, 3)


def _announce(file: Path, name: str) -> None:
    """Name the run that ended last in one small file, for whoever watches for ends of runs."""
    with suppress(OSError):  # the report counts, and it is written
        replacing.replace(file, name.encode())


def _paths(options: argparse.Namespace) -> list[Path]:
    """Where the report is written to, in all its forms."""
    names = [prefix + form for prefix in ("", "also_") for form in files.FORMS]
    return [path for name in names if (path := getattr(options, name))]


def _shown(path: Path) -> str:
    """A path as short as it can be read from here."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def _baseline(options: argparse.Namespace) -> Path | None:
    beside = options.state / "benchmarks.json" if options.state else None
    return options.baseline or beside


def _new_id() -> str:
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"


def _code(chosen: plan.Plan, options: argparse.Namespace) -> str:
    """The state of the code before anything of it ran; needed only where runs are remembered."""
    if not options.state:
        return ""
    written = [options.state, options.artefacts, *_paths(options)]
    words = [chosen.python, sys.version, *options.pytest, options.keyword]
    return fingerprint.of(chosen.root, [path for path in written if path], *words)


def _directory(wanted: Path | None, stack: ExitStack) -> Path:
    if wanted is None:
        prefix = "sidecar-validation-"
        return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=prefix))).resolve()
    wanted.mkdir(parents=True, exist_ok=True)
    return wanted.resolve()


def _cancellation(file: Path | None) -> process.Cancellation:
    cancellation = process.Cancellation(file)

    def cancel(_signal: int, _frame: FrameType | None) -> None:
        cancellation.requested = True

    signal.signal(signal.SIGINT, cancel)
    signal.signal(signal.SIGTERM, cancel)
    return cancellation


def _write(report: Report, options: argparse.Namespace) -> None:
    for prefix in ("also_", ""):  # whoever waits for the JSON of a run finds the rest there
        files.write(report, {form: getattr(options, prefix + form) for form in files.FORMS})
    if options.state:
        _announce(options.state / REPORTED, report.id)
    text = markdown.markdown(report)
    if not options.quiet:
        github.show(text)
        for path in _paths(options):
            print(f"report: {_shown(path)}")
        print(markdown.plain_line(report))
    github.tell(report, text)
