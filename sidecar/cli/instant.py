"""``sidecar mcp`` as nearly every client starts it, before anything else is imported.

argparse and pathlib would cost every client about 10 ms of processor time.
"""

from __future__ import annotations

from collections.abc import Sequence

from sidecar.channel import stdio
from sidecar.cli.alone import alone
from sidecar.cli.folder import folder_of


def serve_agent(words: Sequence[str]) -> None:
    """Be a channel if nothing but the workspace is said; else return."""
    given = words[1] if words[:1] == ["--workspace"] and len(words) > 1 else None
    said = [] if given is None else ["--workspace", given]
    if list(words) == said and not (given or "").startswith("-"):
        stdio.serve_agent(folder_of(given), alone)
