"""Rules on a mode file as a whole: whether the product loads it, and from where."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sidecar.domain.edit import Edit
from sidecar.domain.finding import Fix, Severity
from sidecar.domain.kept import Kept, once
from sidecar.domain.kind import Kind
from sidecar.domain.modes import KEY, ModesFile
from sidecar.domain.modes_catalog import BUILT_IN_SLUGS
from sidecar.domain.project import Project
from sidecar.domain.source import Span
from sidecar.domain.suggest import nearest
from sidecar.domain.tree import Entry, Mapping, Node, Scalar, Sequence
from sidecar.domain.yaml_edit import rename_key
from sidecar.rules.modes_syntax import problems
from sidecar.rules.rule import Hit, rule

INK = re.compile(r"\S")
COMMENTS = ("//", "/*")
ALIASES = ("modes", "custom_modes", "custommodes", "mode", "customMode", "agents")


def first_line(file: ModesFile) -> Span:
    """The file's first line that is not blank."""
    match = INK.search(file.source.text)
    return file.source.line_span(file.source.position(match.start()).line) if match else Span(0, 0)


@rule("RM001", Severity.ERROR, Kind.MODES)
def file_rejected(file: ModesFile, _: Project) -> Iterator[Hit]:
    """Roo rejects the whole file, so none of its modes exist.

    Roo does not skip the broken mode: one error anywhere, and all modes of the file are gone. The
    other findings of the file say what to mend.

    Bad:
        customModes:
          - slug: docs
            name: Docs
            roleDefinition: You write documentation.
            groups: [read, write]
          - slug: review
            name: Review
            roleDefinition: You review changes.
            groups: [read]
    Good:
        customModes:
          - slug: docs
            name: Docs
            roleDefinition: You write documentation.
            groups: [read, edit]
    """
    load = file.load
    if load.verdict not in {"yaml-error", "schema-error"}:
        return
    count = len(problems(file)) or len(load.issues)
    what = "1 problem" if count == 1 else f"{count} problems"
    message = (
        f"{file.profile.title} loads {none_of(file)} because of {what} in this file. "
        "Mend the other findings; one error is enough to lose every mode."
    )
    yield Hit(first_line(file), message)


def none_of(file: ModesFile) -> str:
    """How few of the file's modes are loaded where none is."""
    plural = "" if file.total == 1 else "s"
    return f"0 of {file.total} mode{plural}" if file.total else "no mode"


@rule("RM003", Severity.ERROR, Kind.MODES)
def save_will_erase(file: ModesFile, _: Project) -> Iterator[Hit]:
    """The next time Roo saves a mode it replaces this whole file.

    Roo saves by parsing the file, changing the result and writing it back. A file that does not
    parse counts as empty, so what is written back is the one saved mode alone. Since Roo 3.51 a
    scheduled run saves too. Back the file up and mend it before anything else.

    Bad:
        customModes:
          - slug: docs
            name: @docs
            roleDefinition: You write documentation.
            groups: [read]
    Good:
        customModes:
          - slug: docs
            name: "@docs"
            roleDefinition: You write documentation.
            groups: [read]
    """
    if file.load.verdict != "yaml-error":
        return
    found = problems(file)
    line = file.source.position(found[0].span.start).line if found else 0
    lost = {0: "all that is", 1: "the mode"}.get(file.total, f"all {file.total} modes")
    message = (
        f"{file.profile.title} cannot parse this file: the next mode that it saves will replace "
        f"{lost} in it. Back it up, then mend it."
    )
    yield Hit(file.source.line_span(line), message)


@rule("RM004", Severity.ERROR, Kind.MODES)
def silently_empty(file: ModesFile, _: Project) -> Iterator[Hit]:
    """The file parses but has no ``customModes``, so Roo loads nothing and says nothing.

    A list at the top level, another key or spelling, an empty value: to Roo all of these are a
    file without modes, and it shows no message. Put the modes below the key `customModes`.

    Bad:
        custom_modes:
          - slug: docs
            name: Docs
            roleDefinition: You write documentation.
            groups: [read]
    Bad:
        - slug: docs
          name: Docs
          roleDefinition: You write documentation.
          groups: [read]
    Bad:
        customModes:
    Good:
        customModes: []
    """
    if file.load.verdict != "silent-empty" or comment_key(file.document.root) is not None:
        return
    root, title = file.document.root, file.profile.title
    effect = f"{title} loads {none_of(file)} and shows no message"
    if isinstance(root, Sequence):
        message = f"The file is a list, so {effect}. Put it below the key `{KEY}`."
        yield Hit(first_line(file), message, _wrapped(file, root))
        return
    entry = root.entry(KEY) if isinstance(root, Mapping) else None
    if entry is not None:
        message = f"`{KEY}` is empty, so {title} loads no mode from this file. Add modes, or `[]`."
        yield Hit(entry.span, message, _emptied(entry))
        return
    message = f"There is no key `{KEY}`, so {effect}. Put the modes below it."
    wrong = _misnamed(file, root)
    if wrong is None:
        yield Hit(first_line(file), message)
    else:
        fix = Fix(f"Rename to `{KEY}`", (rename_key(wrong.key, KEY),))
        yield Hit(wrong.key.span, message, (fix,))


def _wrapped(file: ModesFile, root: Sequence) -> tuple[Fix, ...]:
    at = root.span
    edits: tuple[Edit, ...]
    if root.flow:
        edits = (Edit(Span(at.start, at.start), f'{{"{KEY}": '), Edit(Span(at.end, at.end), "}"))
    else:
        start = file.source.line_starts[file.source.position(at.start).line]
        edits = (Edit(Span(start, start), f"{KEY}:\n"),)
    return (Fix(f"Put the list below `{KEY}`", edits),)


def _emptied(entry: Entry) -> tuple[Fix, ...]:
    value = entry.value
    if not isinstance(value, Scalar):
        return ()
    text = " []" if value.span.start == value.span.end else "[]"
    return (Fix("Write an empty list", (Edit(value.span, text),), safe=False),)


def _misnamed(file: ModesFile, root: Node | None) -> Entry | None:
    if not isinstance(root, Mapping):
        return None
    if file.list_entry is not None:
        return file.list_entry
    names = [str(entry.key.value) for entry in root.entries]
    near = nearest(KEY, names, cutoff=0.8)
    known = next((name for name in names if name in ALIASES), None)
    name = near or known
    entry = root.entry(name) if name else None
    return None if entry is None or isinstance(entry.value, Scalar) else entry


@rule("RM025", Severity.ERROR, Kind.MODES)
def json_comment_trap(file: ModesFile, _: Project) -> Iterator[Hit]:
    """A `//` comment becomes part of a key.

    Roo reads JSON as YAML, in which only `#` begins a comment. The words after `//` join the next
    key, so `customModes` is not found any more and Roo loads nothing without a message.

    Bad:
        { // our modes
          "customModes": [] }
    Good:
        { # our modes
          "customModes": [] }
    """
    if file.load.parsed_as == "json":
        return
    for key in _comment_keys(file.document.root, 0):
        text = file.source.slice(key.span)
        fixes: tuple[Fix, ...] = ()
        if text.startswith("//"):
            edit = Edit(Span(key.span.start, key.span.start + 2), "#")
            fixes = (Fix("Begin the comment with `#`", (edit,)),)
        message = (
            f"`{text[:2]}` is no comment in YAML: {file.profile.title} reads it and the words "
            "after it as part of the next key. Use `#`, or remove the comment."
        )
        yield Hit(Span(key.span.start, key.span.start + 2), message, fixes)


def comment_key(root: Node | None) -> Scalar | None:
    """The first key that begins as a comment of other languages does."""
    return next(iter(_comment_keys(root, 0)), None)


def _comment_keys(node: Node | None, depth: int) -> Iterator[Scalar]:
    # Comments stand where modes and their fields do, three levels down at most.
    if depth > 3 or not isinstance(node, Mapping | Sequence):
        return
    if isinstance(node, Sequence):
        for item in node.items:
            if isinstance(item, Kept) and _comment_free(item, depth + 1):
                continue
            yield from _comment_keys(item, depth + 1)
        return
    for entry in node.entries:
        if node.flow and str(entry.key.value).startswith(COMMENTS):
            yield entry.key
        yield from _comment_keys(entry.value, depth + 1)


def _comment_free(item: Kept, depth: int) -> bool:
    def walk() -> bool:
        return next(_comment_keys(item.origin, depth), None) is None

    return once(item, "comment-free", depth, walk)


@rule("RM024", Severity.WARNING, Kind.MODES)
def wrong_place(file: ModesFile, _: Project) -> Iterator[Hit]:
    """Roo does not read a mode file that lies here.

    Only the file in the workspace's top folder is read: not one in `.roo/`, in a sub-folder or in a
    submodule, and not one with another ending.

    Bad:
        --- .roo/.roomodes
        customModes:
          - slug: docs
            name: Docs
            roleDefinition: You write documentation.
            groups: [read]
    Good:
        customModes:
          - slug: docs
            name: Docs
            roleDefinition: You write documentation.
            groups: [read]
    """
    path = file.path.replace("\\", "/").removeprefix("./")
    folder, name = path.rpartition("/")[::2]
    absolute = path.startswith("/") or path[1:2] == ":"
    if absolute or path in file.profile.files or not folder:
        return
    if name == "custom_modes.yaml" and folder.endswith("settings"):
        return
    wanted = file.profile.files[0]
    message = (
        f"{file.profile.title} does not read `{path}`: it reads `{wanted}` in the workspace's top "
        "folder only. Move the file there."
    )
    yield Hit(first_line(file), message)


@rule("RM026", Severity.INFO, Kind.MODES)
def overrides_builtin(file: ModesFile, _: Project) -> Iterator[Hit]:
    """A mode has the slug of a built-in one and replaces it entirely.

    Nothing is inherited: prompt, instructions and tool groups are those of this file. Choose
    another slug if both modes are wanted.

    Bad:
        customModes:
          - slug: code
            name: Code
            roleDefinition: You write code.
            groups: [read, edit]
    Good:
        customModes:
          - slug: code-python
            name: Python
            roleDefinition: You write Python.
            groups: [read, edit]
    """
    for mode in file.modes:
        if mode.slug in BUILT_IN_SLUGS:
            message = (
                f"This mode replaces the built-in mode `{mode.slug}` entirely, its prompt and its "
                "tool groups. Use another slug to keep both."
            )
            yield Hit(mode.head, message)
