"""``sidecar validate``: run the workspace's tests and checks and report figures."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from sidecar.cli import consent
from sidecar.cli.arguments import add_workspace_argument
from sidecar.cli.workspace import open_workspace, root_of
from sidecar.services import trust


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add_workspace_argument(parser)
    consent.add_trust_argument(parser)
    parser.add_argument("--category", action="append", default=[], help="run only this category")
    parser.add_argument(
        "--full", action="store_true", help="also what the plan leaves to full runs"
    )
    parser.add_argument("--fail-fast", action="store_true", help="stop at the first failure")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the report as JSON")
    parser.add_argument("--markdown", metavar="FILE", type=Path, help="write it as Markdown")


def run(options: argparse.Namespace) -> int:
    """Start the harness; its exit code is ours: 0 passed, 1 failed, 2 no plan, 3 incomplete."""
    context = open_workspace(root_of(options), code_allowed=consent.given(options))
    if not trust.is_trusted(context):
        print("sidecar: not trusted, so no tests run; see `sidecar trust`", file=sys.stderr)
    # The user's own import path is for the tests: it must not decide which harness runs.
    environment = dict(os.environ)
    environment["SIDECAR_VALIDATION_PYTHONPATH"] = environment.pop("PYTHONPATH", "")
    command = [sys.executable, "-P", "-m", "validation", str(context.workspace.root)]
    if trust.is_trusted(context):
        command.append("--allow-code")
    if context.settings.interpreter:
        command.append(f"--python={context.settings.interpreter}")
    command += [f"--pytest={word}" for word in context.settings.tests]
    done = subprocess.run([*command, *_passed_on(options)], env=environment, check=False)  # noqa: S603 - our own interpreter and harness
    return done.returncode


def _passed_on(options: argparse.Namespace) -> list[str]:
    words = [f"--category={name}" for name in options.category]
    words += [
        f"--{name}" for name in ("full", "fail-fast") if getattr(options, name.replace("-", "_"))
    ]
    for name in ("json", "markdown"):
        if path := getattr(options, name):
            words.append(f"--{name}={path.absolute()}")
    return words
