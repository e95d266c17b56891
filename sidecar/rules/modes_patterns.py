"""Rules on the patterns that restrict which files a mode may edit."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sidecar.domain import ecma
from sidecar.domain.finding import Fix, Severity
from sidecar.domain.kind import Kind
from sidecar.domain.modes import Mode, ModesFile
from sidecar.domain.yaml_edit import replace_scalar
from sidecar.rules.each_mode import each_mode
from sidecar.rules.modes_fields import loses_all
from sidecar.rules.modes_groups import groups_of, is_dropped
from sidecar.rules.rule import Hit, rule


@rule("RM012", Severity.ERROR, Kind.MODES)
@each_mode
def bad_file_regex(file: ModesFile, mode: Mode) -> Iterator[Hit]:
    r"""A `fileRegex` is no JavaScript regular expression.

    Roo compiles the pattern without flags and rejects the whole file where that fails. Globs such
    as `*.md` and the inline flags of Python and PCRE fail.

    Bad:
        customModes:
          - slug: docs
            name: Docs
            roleDefinition: You write documentation.
            groups:
              - read
              - - edit
                - fileRegex: "*.md"
    Bad:
        customModes:
          - slug: docs
            name: Docs
            roleDefinition: You write documentation.
            groups:
              - read
              - - edit
                - fileRegex: (?i)\.md$
    Good:
        customModes:
          - slug: docs
            name: Docs
            roleDefinition: You write documentation.
            groups:
              - read
              - - edit
                - fileRegex: \.md$
    """
    for group in (placed.group for placed in groups_of(mode)):
        node, pattern = group.file_regex_node, group.file_regex
        if node is None or not pattern or is_dropped(file, group):
            continue
        reason = ecma.error(pattern)
        if reason is None:
            continue
        better = translated(pattern)
        fixes: tuple[Fix, ...] = ()
        if better is not None:
            edit = replace_scalar(node, better)
            fixes = (Fix(f"Change to `{better}`", (edit,), safe=False),)
        message = (
            f"`{pattern}` is no JavaScript regular expression ({reason}): {loses_all(file)}. "
            + (f"Write `{better}`." if better else "Correct the pattern.")
        )
        yield Hit(node.span, message, fixes)


def translated(pattern: str) -> str | None:
    """A valid pattern for a glob, or for one with another language's syntax."""
    candidates = (
        re.sub(r"\(\?[aiLmsux]+\)", "", pattern),
        re.sub(r"\(\?[a-z]*(?:-[a-z]*)?:", "(?:", pattern),
        pattern.replace("(?P<", "(?<"),
        re.sub(r"([*+?}])\+", r"\1", pattern),
        pattern.replace("(?>", "(?:"),
        _from_glob(pattern),
    )
    changed = (one for one in candidates if one and one != pattern)
    return next((one for one in changed if ecma.error(one) is None), None)


def _from_glob(glob: str) -> str:
    parts = re.split(r"(\*\*/|\*\*|\*|\?|\{[^{}]*\})", glob)
    result = "".join(map(_glob_part, parts))
    result = result.removeprefix("(?:.*/)?") if glob.startswith("**/") else result
    return result.removeprefix("[^/]*") + "$"


def _glob_part(part: str) -> str:
    simple = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    if part in simple:
        return simple[part]
    if part.startswith("{") and part.endswith("}"):
        return "(?:" + "|".join(re.escape(word) for word in part[1:-1].split(",")) + ")"
    return re.sub(r"[.+()|\[\]^$\\]", lambda match: "\\" + match[0], part)
