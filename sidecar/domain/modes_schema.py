"""The product's schema of a mode file: the same issues, at the same paths, in the same order.

Roo checks with zod 3: a value of the wrong type aborts whatever contains it, a failed refinement
does not, and a check over a whole list runs only where nothing in that list aborted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from itertools import zip_longest
from typing import NamedTuple, TypeAlias

from sidecar.domain import ecma
from sidecar.domain.kept import once
from sidecar.domain.modes_profile import OPTIONAL_TEXTS, REQUIRED_TEXTS, Profile
from sidecar.domain.tree import Node, Value

Path: TypeAlias = tuple[str | int, ...]
SLUG = re.compile(r"[a-zA-Z0-9-]+")
SLUG_MESSAGE = "Slug must contain only letters numbers and dashes"
EMPTY_MESSAGES = {"name": "Name is required", "roleDefinition": "Role definition is required"}


class Issue(NamedTuple):
    """One complaint of the schema, in the product's words."""

    path: Path
    message: str

    @property
    def shown(self) -> str:
        """The line that the user is shown."""
        return f"{'.'.join(map(str, self.path))}: {self.message}"


class Missing:
    """The type of a key that is not there."""


MISSING = Missing()
TYPE_NAMES: dict[type, str] = {
    Missing: "undefined",
    type(None): "null",
    bool: "boolean",
    int: "number",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
}
Given: TypeAlias = "Value | Missing"


@dataclass
class Checked:
    """The issues of a check, and whether one of them aborted it."""

    issues: list[Issue] = field(default_factory=list)
    aborted: bool = False

    def fail(self, path: Path, message: str) -> None:
        """Note an issue that aborts what contains it."""
        self.issues.append(Issue(path, message))
        self.aborted = True

    def include(self, other: Checked) -> None:
        """Take over the issues of a part."""
        self.issues += other.issues
        self.aborted = self.aborted or other.aborted


def kind_of(value: Given) -> str:
    """The name that zod gives to a value's type."""
    if isinstance(value, float) and value != value:  # noqa: PLR0124 - only NaN differs from itself
        return "nan"
    return TYPE_NAMES[type(value)]


def wrong_type(expected: str, value: Given) -> str:
    """The message for a value of another type."""
    if isinstance(value, Missing):
        return "Required"
    return f"Expected {expected}, received {kind_of(value)}"


def check(value: dict[str, Value], profile: Profile, nodes: Iterable[Node] = ()) -> list[Issue]:
    """Every issue of a file's content; none means that the product loads it.

    ``nodes`` are those of the modes, if any; what is kept of them is not checked again.
    """
    checked = Checked()
    modes = value.get("customModes", MISSING)
    if not isinstance(modes, list):
        checked.fail(("customModes",), wrong_type("array", modes))
        return checked.issues
    for index, (mode, node) in enumerate(zip_longest(modes, nodes)):
        path = ("customModes", index)
        work = partial(_mode, mode, path, profile)
        checked.include(once(node, "checked", (profile.name, index), work))
    if not checked.aborted:
        slugs = [mode["slug"] for mode in modes if isinstance(mode, dict)]
        if len(slugs) != len(set(map(str, slugs))):
            message = "Duplicate mode slugs are not allowed"
            checked.issues.append(Issue(("customModes",), message))
    return checked.issues


def _mode(mode: Value, path: Path, profile: Profile) -> Checked:
    checked = Checked()
    if not isinstance(mode, dict):
        checked.fail(path, wrong_type("object", mode))
        return checked
    for name in REQUIRED_TEXTS:
        _text(checked, (*path, name), mode.get(name, MISSING))
    for name in OPTIONAL_TEXTS:
        _optional_text(checked, (*path, name), mode.get(name, MISSING))
    checked.include(_groups(mode.get("groups", MISSING), (*path, "groups"), profile))
    _source(checked, (*path, "source"), mode.get("source", MISSING), profile)
    for name in profile.texts:
        _optional_text(checked, (*path, name), mode.get(name, MISSING))
    for name in profile.lists:
        _optional_texts(checked, (*path, name), mode.get(name, MISSING))
    return checked


def _text(checked: Checked, path: Path, value: Given) -> None:
    name = str(path[-1])
    if not isinstance(value, str):
        checked.fail(path, wrong_type("string", value))
    elif name == "slug" and not SLUG.fullmatch(value):
        checked.issues.append(Issue(path, SLUG_MESSAGE))
    elif name in EMPTY_MESSAGES and not value:
        checked.issues.append(Issue(path, EMPTY_MESSAGES[name]))


def _optional_text(checked: Checked, path: Path, value: Given) -> None:
    if not isinstance(value, str | Missing):
        checked.fail(path, wrong_type("string", value))


def _optional_texts(checked: Checked, path: Path, value: Given) -> None:
    if isinstance(value, Missing):
        return
    if not isinstance(value, list):
        checked.fail(path, wrong_type("array", value))
        return
    for index, item in enumerate(value):
        _optional_text(checked, (*path, index), item)


def _source(checked: Checked, path: Path, value: Given, profile: Profile) -> None:
    expected = " | ".join(f"'{source}'" for source in profile.sources)
    if isinstance(value, Missing) or value in profile.sources:
        return
    if isinstance(value, str):
        message = f"Invalid enum value. Expected {expected}, received '{value}'"
        checked.fail(path, message)
    else:
        checked.fail(path, wrong_type(expected, value))


def kept_groups(groups: list[Value], profile: Profile) -> list[Value]:
    """The groups without those that the product drops before it checks anything."""
    return [group for group in groups if group_name(group) not in profile.dropped]


def group_name(group: Value) -> str | None:
    """The tool group of an entry, written as a name or as a pair."""
    name = group[0] if isinstance(group, list) and group else group
    return name if isinstance(name, str) else None


def _groups(value: Given, path: Path, profile: Profile) -> Checked:
    checked = Checked()
    if not isinstance(value, list):
        checked.fail(path, wrong_type("array", value))
        return checked
    # The indexes in issue paths count what is left, as the product's do.
    groups = kept_groups(value, profile)
    for index, group in enumerate(groups):
        checked.include(_group(group, (*path, index), profile))
    if not checked.aborted:
        names = [group_name(group) for group in groups]
        if len(names) != len(set(names)):
            checked.issues.append(Issue(path, "Duplicate groups are not allowed"))
    return checked


def _group(group: Value, path: Path, profile: Profile) -> Checked:
    checked = Checked()
    if isinstance(group, str) and group in profile.groups:
        return checked
    if not isinstance(group, list) or not _is_pair(group, profile):
        checked.fail(path, "Invalid input")
        return checked
    if len(group) > 2:
        checked.issues.append(Issue(path, "Array must contain at most 2 element(s)"))
    options = group[1]
    pattern = options.get("fileRegex") if isinstance(options, dict) else None
    if isinstance(pattern, str) and pattern and ecma.error(pattern) is not None:
        issue = Issue((*path, 1, "fileRegex"), "Invalid regular expression pattern")
        checked.issues.append(issue)
    return checked


def _is_pair(group: list[Value], profile: Profile) -> bool:
    if len(group) < 2 or group[0] not in profile.groups or not isinstance(group[1], dict):
        return False
    return all(isinstance(group[1].get(name, ""), str) for name in ("fileRegex", "description"))
