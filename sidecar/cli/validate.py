"""``sidecar validate``: run the workspace's tests and checks and report figures."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sidecar.cli.arguments import add_workspace_argument
from sidecar.cli.root import root_of
from sidecar.cli.visible import one_line
from sidecar.domain.errors import SidecarError
from sidecar.host.workspace import open_workspace
from sidecar.services import trust, validation_runs
from sidecar.services.context import Context
from sidecar.services.validation import RunValidationRequest, run_validation

# Only for a command that a person or CI typed: a committed configuration could set it for others.
TRUST_VARIABLE = "SIDECAR_TRUST"
SWITCHES = ("full", "fail-fast", "new-baseline")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add_workspace_argument(parser)
    parser.add_argument(
        "--trust", action="store_true", help="let this run execute the workspace's own code"
    )
    parser.add_argument("--category", action="append", default=[], help="run only this category")
    parser.add_argument(
        "--full", action="store_true", help="also what the plan leaves to full runs"
    )
    parser.add_argument("--fail-fast", action="store_true", help="stop at the first failure")
    parser.add_argument(
        "--new-baseline", action="store_true", help="compare later benchmarks with this run"
    )
    for form in validation_runs.REPORTS:
        parser.add_argument(
            f"--{form}", metavar="FILE", type=Path, help=f"write the {form} report there"
        )
    others = parser.add_mutually_exclusive_group()
    others.add_argument("--list", action="store_true", help="show the kept runs")
    others.add_argument("--show", metavar="ID", help="show a run, or how far it is")
    others.add_argument("--cancel", metavar="ID", help="stop a run")


def run(options: argparse.Namespace) -> int:
    """Start the harness; its exit code is ours: 0 passed, 1 failed, 2 no plan, 3 incomplete."""
    allowed = options.trust or os.environ.get(TRUST_VARIABLE) == "1"
    context = open_workspace(root_of(options), code_allowed=allowed)
    if options.list:
        for line in validation_runs.listed(context):
            print(line)
        return 0
    if asked := options.show or options.cancel:
        return _ask(context, asked, cancel=bool(options.cancel))
    if not trust.is_trusted(context):
        print("sidecar: not trusted, so no tests run; see `sidecar trust`", file=sys.stderr)
    validation_runs.refuse_second(context)
    return _attended(context, options)


def _ask(context: Context, run_id: str, *, cancel: bool) -> int:
    request = RunValidationRequest(run_id=run_id, cancel=cancel, wait_seconds=0)
    found = run_validation(context, request)
    print(found.summary())
    return 0 if found.success else 1


def _arguments(context: Context, options: argparse.Namespace) -> list[str]:
    words = [f"--category={name}" for name in options.category]
    words += [f"--{name}" for name in SWITCHES if getattr(options, name.replace("-", "_"))]
    words += ["--allow-code"] if trust.is_trusted(context) else []
    if context.settings.interpreter:
        words.append(f"--python={context.settings.interpreter}")
    words += [f"--pytest={word}" for word in context.settings.tests]
    for form in validation_runs.REPORTS:
        if path := getattr(options, form):
            words.append(f"--also-{form}={path.absolute()}")
    return words


def _attended(context: Context, options: argparse.Namespace) -> int:
    """A run on this terminal; it is kept like any other, and can be asked for by its id."""
    words, environment = validation_runs.command(
        context, _kept_run(context, options), _arguments(context, options)
    )
    with _interrupts_left_to_the_child():
        return subprocess.run(words, env=environment, check=False).returncode  # noqa: S603 - our own interpreter and harness


def _kept_run(context: Context, options: argparse.Namespace) -> validation_runs.Run | None:
    """A run in the workspace's state; none where that cannot be written, which is said."""
    try:
        narrowing = {"categories": options.category, "fail_fast": options.fail_fast}
        asked = {"type": "validate", "child": True, "full": options.full, **narrowing}
        return validation_runs.create(context, asked)
    except (SidecarError, OSError) as error:
        print(f"sidecar: this run is not kept: {one_line(str(error))}", file=sys.stderr)
        return None


@contextmanager
def _interrupts_left_to_the_child() -> Iterator[None]:
    """Ctrl-C reaches both; the harness ends its children and reports, and we wait for that."""
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
