"""Regular expressions as the products' engine sees them: ECMAScript, without flags, Node 20."""

from __future__ import annotations

import re
from functools import lru_cache

import regress

# Newer engines take these two: modifiers, and one group name in several alternatives.
MODIFIERS = re.compile(r"\(\?[ims]*(?:-[ims]*)?:")
GROUP_NAME = re.compile(r"\(\?<(?![=!])([^>]*)>")
QUANTIFIER = re.compile(r"[*+?]|\{\d+(?:,\d*)?\}")
ESCAPED_OR_CLASS = re.compile(r"\\.|\[(?:\\.|[^\]\\])*\]", re.DOTALL)


@lru_cache(maxsize=1024)
def error(pattern: str) -> str | None:
    """Why ``new RegExp(pattern)`` throws in Node 20, None where it does not."""
    syntax = ESCAPED_OR_CLASS.sub("", pattern)
    for match in MODIFIERS.finditer(syntax):
        if match[0] != "(?:":
            return f"Invalid group `{match[0]}`: inline flags are not JavaScript"
    names = GROUP_NAME.findall(syntax)
    if len(names) != len(set(names)):
        return "Duplicate capture group name"
    for match in ESCAPED_OR_CLASS.finditer(pattern):
        if match[0] in {r"\b", r"\B"} and QUANTIFIER.match(pattern, match.end()):
            return "Nothing to repeat"
    try:
        regress.Regex(pattern)
    except regress.RegressError as problem:
        return str(problem)
    return None


def matches(pattern: str, path: str) -> bool:
    """Whether ``RegExp.test`` finds the pattern anywhere in a path; an invalid one never does."""
    if error(pattern) is not None:
        return False
    return regress.Regex(pattern).find(path) is not None
