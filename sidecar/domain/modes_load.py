"""What the product makes of a mode file, step by step as its own loader goes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from collections.abc import Mapping as Lookup
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest
from typing import Any, Literal

from sidecar.domain import yaml
from sidecar.domain.kept import once
from sidecar.domain.modes_profile import Profile, profile_of
from sidecar.domain.modes_schema import Issue, check, kept_groups
from sidecar.domain.modes_text import Cleaned, clean
from sidecar.domain.tree import Document, Mapping, Node, Scalar, Sequence, Value

Verdict = Literal["valid", "schema-error", "yaml-error", "silent-empty"]
CHECKLIST = (
    "• Proper indentation (use spaces, not tabs)\n"
    "• Matching quotes and brackets\n"
    "• Valid YAML syntax"
)


@dataclass(frozen=True)
class LoadedMode(Lookup[str, Value]):
    """A mode as the product holds it; its fields by their names in the file."""

    fields: dict[str, Value]

    def __getitem__(self, name: str) -> Value:
        return self.fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.fields)

    def __len__(self) -> int:
        return len(self.fields)

    @property
    def slug(self) -> str:
        """The mode's slug."""
        return str(self.fields["slug"])


@dataclass(frozen=True)
class LoadResult:
    """The product's verdict on a mode file.

    ``line`` is the 1-based line that it names for a YAML error, None where it says "unknown";
    ``message`` is what it shows the user, None where it shows nothing.
    """

    verdict: Verdict
    modes: tuple[LoadedMode, ...] = ()
    issues: tuple[Issue, ...] = ()
    line: int | None = None
    message: str | None = None
    parsed_as: Literal["yaml", "json", "nothing"] = "yaml"


@dataclass(frozen=True)
class Reading:
    """A text on its way through the loader."""

    cleaned: Cleaned
    document: Document
    content: Value
    parsed_as: Literal["yaml", "json", "nothing"]
    noticed: int | None = None


def load(text: str, *, filename: str = ".roomodes", product: str = "roo") -> LoadResult:
    """What the product loads from a mode file and what it tells the user; never raises."""
    return judge(read(text, filename, profile_of(product)), filename, profile_of(product))


def read(text: str, filename: str, profile: Profile) -> Reading:
    """Clean the text and parse it as YAML, else, in a project file, as JSON."""
    cleaned = clean(text)
    parsed = yaml.read(cleaned.text)
    document, noticed = parsed.document, parsed.noticed
    if not document.problems:
        return Reading(cleaned, document, to_javascript(document.root), "yaml")
    if filename.endswith(profile.files):
        try:
            return Reading(cleaned, document, from_json(text), "json")
        except (ValueError, RecursionError):
            pass
    return Reading(cleaned, document, None, "nothing", noticed)


def judge(reading: Reading, filename: str, profile: Profile) -> LoadResult:
    """The verdict on a text that has been read."""
    in_project = filename.endswith(profile.files)
    name = filename.replace("\\", "/").rpartition("/")[2]
    if reading.parsed_as == "nothing":
        line = error_line(reading)
        shown = f"Invalid YAML in {name} file at line {line or 'unknown'}. Please check for:"
        message = f"{shown}\n{CHECKLIST}" if in_project else None
        return LoadResult("yaml-error", line=line, message=message, parsed_as="nothing")
    content = reading.content
    if not isinstance(content, dict) or not _truthy(content.get("customModes")):
        return LoadResult("silent-empty", parsed_as=reading.parsed_as)
    nodes = _modes_of(reading)
    issues = tuple(check(content, profile, nodes))
    if issues:
        lines = "\n".join(f"• {issue.shown}" for issue in issues)
        message = f"Invalid custom modes format in {name}:\n{lines}" if in_project else None
        return LoadResult(
            "schema-error", issues=issues, message=message, parsed_as=reading.parsed_as
        )
    source = "project" if in_project else "global"
    modes = content["customModes"]
    loaded = (
        once(node, "loaded", (source, profile.name), partial(_loaded, mode, source, profile))
        for mode, node in zip_longest(modes if isinstance(modes, list) else (), nodes)
    )
    return LoadResult("valid", tuple(loaded), parsed_as=reading.parsed_as)


def _modes_of(reading: Reading) -> tuple[Node, ...]:
    """The nodes of the modes where they are what the content was made of."""
    root = reading.document.root
    modes = root.get("customModes") if isinstance(root, Mapping) else None
    fitting = reading.parsed_as == "yaml" and isinstance(modes, Sequence)
    return modes.items if fitting and isinstance(modes, Sequence) else ()


def error_line(reading: Reading) -> int | None:
    """The line that the product names, which counts line feeds only."""
    if reading.noticed is None:
        return None
    return reading.cleaned.text.count("\n", 0, reading.noticed) + 1


def _truthy(value: Value) -> bool:
    if isinstance(value, list | dict):
        return True
    return bool(value) and value == value  # noqa: PLR0124 - NaN is false in JavaScript


def _loaded(mode: Value, source: str, profile: Profile) -> LoadedMode:
    given = mode if isinstance(mode, dict) else {}
    fields = {name: given[name] for name in profile.fields if name in given}
    groups = given.get("groups")
    if isinstance(groups, list):
        fields["groups"] = [_loaded_group(group) for group in kept_groups(groups, profile)]
    return LoadedMode(fields | {"source": source})


def _loaded_group(group: Value) -> Value:
    if isinstance(group, list) and isinstance(options := group[1], dict):
        kept: Value = {k: options[k] for k in ("fileRegex", "description") if k in options}
        return [group[0], kept]
    return group


def from_json(text: str) -> Value:
    """``JSON.parse``: strict, no byte order mark, numbers as JavaScript holds them."""
    value: Any = json.loads(text, parse_int=_json_number, parse_constant=_no_constant)
    result: Value = value
    return result


def _json_number(digits: str) -> int | float:
    return int(digits) if len(digits) < 16 else float(digits)


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def to_javascript(root: Node | None) -> Value:
    """The value of a tree as JavaScript objects hold it; aliases share one value."""
    known: dict[int, Value] = {}

    def convert(node: Node | None) -> Value:
        if node is None or isinstance(node, Scalar):
            return None if node is None else node.value
        if id(node) not in known:
            known[id(node)] = once(node, "value", None, partial(children, node))
        return known[id(node)]

    def children(node: Sequence | Mapping) -> Value:
        if isinstance(node, Sequence):
            return [convert(item) for item in node.items]
        return {key_name(entry.key): convert(entry.value) for entry in node.origin.entries}

    return convert(root)


def key_name(key: Scalar) -> str:
    """The property name that a key becomes."""
    match key.value:
        case None:
            return ""
        case bool():
            return "true" if key.value else "false"
        case _:
            return str(key.value)
