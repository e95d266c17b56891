"""A rule's page, read from its docstring: what it means, and files that are bad and good."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from sidecar.domain.kind import Checked, Kind, Other
from sidecar.domain.project import Project, parse_file

# The instant at which every example happens.
EXAMPLE_NOW = datetime(2025, 5, 1, 10, 23, 45, tzinfo=UTC)
DEFAULT_PATHS: dict[Checked, str] = {
    Kind.MODES: ".roomodes",
    Kind.SCHEDULES: ".roo/schedules.json",
    Kind.TODO: "TODO.md",
    Kind.TIMING: "task_timing.tsv",
    Kind.MEMORY: "persistent-memory.md",
    Other.SETTINGS: "sidecar.toml",
}
HEADINGS = ("Bad:", "Good:")
# A docstring cannot show every character: an arrow stands for a tab, <U+0000> for any other.
TAB_SIGN = "⇥"
CODE_POINT = re.compile(r"<U\+([0-9A-F]{4,6})>")
MARKER = re.compile(
    r"--- (?:tz: (?P<zone>\S+)|product: (?P<product>\S+)|memory-limit: (?P<limit>\d+)"
    r"|(?P<path>\S+))\Z"
)


@dataclass(frozen=True)
class Example:
    """The files of one block, in the time zone and with the settings that it names."""

    files: dict[str, str]
    zone: str = "UTC"
    product: str = "roo"
    memory_limit: int = 300

    def project(self, kinds: Mapping[str, Checked]) -> Project:
        """The block's files as a project at the instant of all examples."""
        files = (
            parse_file(kind, text, path=path, product=self.product)
            for path, text in self.files.items()
            if isinstance(kind := kinds[path], Kind)
        )
        project = Project(
            EXAMPLE_NOW,
            ZoneInfo(self.zone),
            product=self.product,
            memory_line_limit=self.memory_limit,
        )
        return project.having(*files)


@dataclass(frozen=True)
class Page:
    """A docstring taken apart."""

    summary: str
    prose: str
    bad: tuple[Example, ...]
    good: tuple[Example, ...]


def parse_page(docstring: str, kind: Checked) -> Page:
    """Read a docstring that ``inspect.cleandoc`` has cleaned."""
    prose: list[str] = []
    blocks: list[tuple[str, list[str]]] = []
    for line in docstring.splitlines():
        if line.strip() in HEADINGS and not line.startswith(" "):
            blocks.append((line.strip(), []))
        elif blocks and (not line.strip() or line.startswith(" ")):
            blocks[-1][1].append(line)
        else:
            prose.append(line)
    bad, good = (
        tuple(_example(lines, kind) for heading, lines in blocks if heading == wanted)
        for wanted in HEADINGS
    )
    return Page(prose[0] if prose else "", "\n".join(prose[1:]).strip(), bad, good)


def _example(lines: list[str], kind: Checked) -> Example:
    text = textwrap.dedent("\n".join(lines)).strip("\n")
    zone, product, limit, path = "UTC", "roo", "300", DEFAULT_PATHS[kind]
    files: dict[str, list[str]] = {}
    for line in text.split("\n"):
        marker = MARKER.match(line)
        if marker is None:
            files.setdefault(path, []).append(_characters(line))
        elif marker["path"]:
            path = marker["path"]
        else:
            zone, product = marker["zone"] or zone, marker["product"] or product
            limit = marker["limit"] or limit
    texts = {name: "\n".join([*body, ""]) for name, body in files.items()}
    return Example(texts, zone, product, int(limit))


def _characters(line: str) -> str:
    shown = line.replace(TAB_SIGN, "\t")
    return CODE_POINT.sub(lambda match: chr(int(match[1], 16)), shown)
