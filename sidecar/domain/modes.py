"""The mode file: who may do what, as written and as the product loads it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from sidecar.domain import yaml
from sidecar.domain.kept import Kept
from sidecar.domain.modes_load import LoadedMode, LoadResult, Reading, judge, load, read
from sidecar.domain.modes_profile import Profile, profile_of
from sidecar.domain.modes_schema import Issue
from sidecar.domain.modes_text import restore
from sidecar.domain.source import Source, Span
from sidecar.domain.tree import Document, Entry, Mapping, Node, Scalar, Sequence

__all__ = [
    "Group",
    "Issue",
    "LoadResult",
    "LoadedMode",
    "Mode",
    "ModesFile",
    "load",
    "parse",
]
KEY = "customModes"
NOWHERE = Span(0, 0)


@dataclass(frozen=True)
class Group:
    """One entry of a mode's ``groups``: a name, or a name with options."""

    node: Node

    @property
    def span(self) -> Span:
        """The whole entry."""
        return self.node.span

    @cached_property
    def name_node(self) -> Scalar | None:
        """Where the group's name stands."""
        items = self.node.items if isinstance(self.node, Sequence) else (self.node,)
        first = items[0] if items else None
        return first if isinstance(first, Scalar) else None

    @property
    def name(self) -> str | None:
        """The group's name, None where there is no text."""
        return _text(self.name_node)

    @cached_property
    def options(self) -> Mapping | None:
        """The options of a pair."""
        if isinstance(self.node, Sequence) and len(self.node.items) > 1:
            second = self.node.items[1]
            return second if isinstance(second, Mapping) else None
        return None

    @property
    def file_regex_node(self) -> Scalar | None:
        """Where the pattern of the files that may be edited stands."""
        node = self.options.get("fileRegex") if self.options else None
        return node if isinstance(node, Scalar) else None

    @property
    def file_regex(self) -> str | None:
        """The pattern of the files that may be edited."""
        return _text(self.file_regex_node)

    @property
    def description(self) -> str | None:
        """What the pattern is for."""
        node = self.options.get("description") if self.options else None
        return _text(node)


@dataclass(frozen=True)
class Mode:
    """One mode as written; a field that is missing or no text is None."""

    index: int
    node: Mapping
    key: Scalar | None = None

    @property
    def span(self) -> Span:
        """The whole mode."""
        return self.node.span

    @property
    def head(self) -> Span:
        """Where to point for the mode as a whole: its slug, else its first key."""
        slug = self.node.entry("slug")
        if slug is not None:
            return slug.span if slug.value.span.end > slug.key.span.end else slug.key.span
        if self.node.entries:
            return self.node.entries[0].key.span
        return self.node.span

    def entry(self, name: str) -> Entry | None:
        """A field by its name in the file."""
        return self.node.entry(name)

    def has(self, name: str) -> bool:
        """Whether a field is there."""
        return self.node.origin.entry(name) is not None

    def text(self, name: str) -> str | None:
        """A field's text."""
        return _text(self.node.origin.get(name))

    @cached_property
    def slug(self) -> str | None:
        """The name by which other files refer to the mode."""
        return self.text("slug") or (_text(self.key) if self.key else None)

    @property
    def name(self) -> str | None:
        """The name that people see."""
        return self.text("name")

    @property
    def role_definition(self) -> str | None:
        """Who the agent is in this mode."""
        return self.text("roleDefinition")

    @property
    def when_to_use(self) -> str | None:
        """What an orchestrator reads to choose a mode."""
        return self.text("whenToUse")

    @property
    def description(self) -> str | None:
        """What the mode selector shows."""
        return self.text("description")

    @property
    def custom_instructions(self) -> str | None:
        """Further instructions."""
        return self.text("customInstructions")

    @property
    def source(self) -> str | None:
        """The ``source`` as written; the product overwrites it by file."""
        return self.text("source")

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """The tool groups as written, in the file's order."""
        node = self.node.get("groups")
        return tuple(Group(item) for item in node.items) if isinstance(node, Sequence) else ()


@dataclass(frozen=True)
class ModesFile:
    """A mode file: what is written, and what the product makes of it."""

    source: Source
    path: str
    product: str = "roo"

    @property
    def profile(self) -> Profile:
        """How the product reads mode files."""
        return profile_of(self.product)

    @cached_property
    def reading(self) -> Reading:
        """The text on its way through the product's loader."""
        return read(self.source.text, self.path, self.profile)

    @cached_property
    def load(self) -> LoadResult:
        """What the product loads."""
        return judge(self.reading, self.path, self.profile)

    @cached_property
    def document(self) -> Document:
        """The tree and the syntax problems, with spans in the text as it stands in the file."""
        if self.reading.parsed_as == "json":
            return self.unreplaced
        return restore(self.reading.document, self.reading.cleaned)

    @cached_property
    def unreplaced(self) -> Document:
        """The text as every other YAML parser reads it, which replaces no characters."""
        return yaml.parse(self.source.text)

    @cached_property
    def list_entry(self) -> Entry | None:
        """The entry that holds the modes, whatever its key; None for a list without a key."""
        root = self.document.root
        if not isinstance(root, Mapping):
            return None
        return root.entry(KEY) or next((e for e in root.entries if _holds_modes(e.value)), None)

    @cached_property
    def modes(self) -> tuple[Mode, ...]:
        """Every mode that can be made out, even where the product loads none."""
        holder: Node | None = self.document.root
        if isinstance(holder, Mapping):
            holder = self.list_entry.value if self.list_entry else None
        return tuple(_modes(holder))

    @cached_property
    def intact(self) -> tuple[Mode, ...]:
        """The modes that no syntax problem touches, so that they are read as they are meant."""
        broken = sorted(problem.span.start for problem in self.document.problems)
        ends = [mode.span.start for mode in self.modes[1:]] + [len(self.source.text) + 1]
        return tuple(
            mode
            for mode, end in zip(self.modes, ends, strict=False)
            if bisect_left(broken, mode.span.start) == bisect_left(broken, end)
        )

    @cached_property
    def written(self) -> tuple[str, ...]:
        """The text of each intact mode that is kept; empty for one that is not."""
        text = self.source.text
        extents = (
            mode.node.extent if isinstance(mode.node, Kept) else NOWHERE for mode in self.intact
        )
        return tuple(text[start:end] for start, end in extents)

    @property
    def total(self) -> int:
        """How many modes can be made out."""
        return len(self.modes)

    def mode(self, slug: str) -> Mode | None:
        """The first mode with this slug."""
        return next((mode for mode in self.modes if mode.slug == slug), None)

    @cached_property
    def slugs(self) -> frozenset[str]:
        """The slugs of all modes that can be made out."""
        return frozenset(mode.slug for mode in self.modes if mode.slug)


def parse(text: str, *, path: str = ".roomodes", product: str = "roo") -> ModesFile:
    """The model of a mode file; never raises."""
    return ModesFile(Source(text), path, product)


def _text(node: Node | None) -> str | None:
    return node.value if isinstance(node, Scalar) and isinstance(node.value, str) else None


def _holds_modes(node: Node) -> bool:
    return any(
        isinstance(item, Mapping) and item.get("slug") is not None
        for item in (node.items if isinstance(node, Sequence) else ())
    )


def is_lone_pair(node: Node) -> bool:
    """Whether a mapping is a pair in a list without braces of its own, ``[a: b]``."""
    return isinstance(node, Mapping) and node.flow and [e.span for e in node.entries] == [node.span]


def _modes(holder: Node | None) -> Iterator[Mode]:
    if isinstance(holder, Sequence):
        for index, item in enumerate(holder.items):
            if isinstance(item, Mapping) and not is_lone_pair(item):
                yield Mode(index, item)
    elif isinstance(holder, Mapping):
        for index, entry in enumerate(holder.entries):
            if isinstance(entry.value, Mapping):
                yield Mode(index, entry.value, entry.key)
