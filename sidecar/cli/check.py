"""``sidecar check``: report what is wrong in the files of a workspace."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path

from sidecar.cli import formats
from sidecar.cli.arguments import add_workspace_argument
from sidecar.cli.main import refuse
from sidecar.cli.root import root_of
from sidecar.cli.targets import Target, targets
from sidecar.domain.finding import Severity
from sidecar.domain.kind import Kind, Other
from sidecar.domain.project import Project
from sidecar.domain.source import Source
from sidecar.host.workspace import open_workspace
from sidecar.rules.registry import RULES
from sidecar.services.context import Context
from sidecar.services.diagnosis import FileReport, diagnose_path
from sidecar.services.project import load_project

FOUND, UNCHECKED = 1, 2
_KNOWN = (
    ".roomodes", "schedules.json", "TODO.md", "task_timing.tsv", "persistent-memory.md",
    "sidecar.toml",
)  # fmt: skip
WRITERS: dict[str, Callable[[Sequence[FileReport]], None]] = {
    "text": formats.write_text,
    "json": formats.write_json,
    "github": formats.write_github,
    "sarif": formats.write_sarif,
}


@dataclass(frozen=True)
class Opened:
    """A workspace with its project, read once for all of its files."""

    context: Context
    project: Project


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("paths", nargs="*", metavar="PATH", help="files, or folders to search")
    add_workspace_argument(parser)
    parser.add_argument("--format", choices=list(WRITERS), default="text")
    parser.add_argument(
        "--select",
        action="append",
        default=[],
        metavar="CODES",
        help="only findings whose code starts with one of these, comma separated",
    )
    parser.add_argument(
        "--fail-on",
        choices=["error", "warning", "info"],
        default="error",
        help="exit 1 when a finding is at least this severe (default: error)",
    )


def run(options: argparse.Namespace) -> int:
    """Exit 0 without such findings, 1 with them, 2 where something could not be checked."""
    selected = _codes(options.select)
    reports = [_selected(report, selected) for report in _reports(options)]
    WRITERS[options.format](reports)
    if any(report.error for report in reports):
        return UNCHECKED
    limit = Severity(options.fail_on).rank
    failing = (finding for report in reports for finding in report.findings)
    return FOUND if any(finding.severity.rank <= limit for finding in failing) else 0


def _codes(words: Sequence[str]) -> tuple[str, ...]:
    """What the codes of findings must start with; a word that fits no rule is refused."""
    codes = tuple(code.strip() for word in words for code in word.split(",") if code.strip())
    for code in codes:
        if not any(known.startswith(code) for known in RULES):
            raise refuse(
                f"No rule's code starts with `{code}`.", hint="`sidecar rules` lists them."
            )
    return codes


def _selected(report: FileReport, codes: tuple[str, ...]) -> FileReport:
    if not codes:
        return report
    return replace(report, findings=tuple(f for f in report.findings if f.code.startswith(codes)))


def _reports(options: argparse.Namespace) -> Iterator[FileReport]:
    paths = options.paths or [str(root_of(options))]
    searched = any(Path(path).is_dir() for path in paths)
    opened = lru_cache(maxsize=8)(partial(_opened, finds_settings=searched))
    missing = True
    for target in targets(paths, settings=True):
        report = _report(target, opened)
        if target.named or target.kind is not Other.SETTINGS or report.findings:
            missing = False
            yield report
    if missing:
        print(f"sidecar check: no known file in {', '.join(paths)}.", file=sys.stderr)


def _opened(root: Path, *, finds_settings: bool) -> Opened:
    context = open_workspace(root, finds_settings=finds_settings)
    project = load_project(context.workspace, context.settings, context.clock())
    return Opened(context, project)


def _report(target: Target, opened: Callable[[Path], Opened]) -> FileReport:
    if target.kind is None and not Path(target.root, target.path).exists():
        return FileReport(target.shown, Kind.MODES, Source(""), error="There is no such file.")
    if target.kind is None:
        error = f"Its name says no known kind of file; known are {', '.join(_KNOWN)}."
        return FileReport(target.shown, Kind.MODES, Source(""), error=error)
    if not target.root.is_dir():
        return FileReport(target.shown, target.kind, Source(""), error="There is no such file.")
    view = opened(target.root)
    settings = view.context.settings
    report = diagnose_path(view.context.workspace, target.kind, target.path, view.project, settings)
    return replace(report, path=target.shown)
