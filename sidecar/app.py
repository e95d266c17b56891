"""The composition root: one workspace's servers and what they share, put together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from sidecar import __version__
from sidecar.engine.late_queue import queueing
from sidecar.mcp import server
from sidecar.services.context import Context
from sidecar.services.diagnosis import FileReport, diagnose_workspace
from sidecar.services.views import Views
from sidecar.workspace.layout import checked_files

Show = Callable[[Sequence[FileReport]], None]


def reports(context: Context) -> list[FileReport]:
    """What is wrong in the workspace now, file by file."""
    return diagnose_workspace(context.workspace, context.settings, context.clock())


def mcp_server(context: Context) -> server.McpServer:
    """The agent's server over a workspace; each call sees its own client and progress."""
    return server.build(Views(queueing(context)), version=__version__)


@contextmanager
def watching(context: Context, show: Show) -> Iterator[None]:
    """Check every known file again when it changes, and show what was found.

    A change of one file may change what is true of another, so all reports that differ from the
    last ones are shown, not only the changed file's.
    """
    last = {report.path: report for report in reports(context)}

    def changed(_: frozenset[str]) -> None:
        now = {report.path: report for report in reports(context)}
        news = [report for path, report in now.items() if _told(last.get(path)) != _told(report)]
        last.clear()
        last.update(now)
        if news:
            show(news)

    paths = checked_files(context.settings.product)
    subscription = context.workspace.changes.subscribe(paths, changed)
    try:
        yield
    finally:
        subscription.close()


def _told(report: FileReport | None) -> object:
    """What a person would be shown of a report; two alike are no news."""
    if report is None:
        return None
    return report.error, report.product, [(f.code, f.message) for f in report.findings]
