"""Which files may hold a match, by ripgrep: it only proposes.

While a folder is exchanged for a link, ripgrep can be led outside; so nothing of what it prints
but names is used, and every file is read again through the confined paths.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

_SECONDS = 5.0
_OPTIONS = (
    "--no-config", "--files-with-matches", "--null", "--no-messages", "--hidden", "--text",
    "--crlf", "--no-require-git", "--no-ignore-dot", "--no-ignore-exclude", "--no-ignore-global",
    "--no-ignore-parent", "--max-filesize=16M", "--threads=2", "--glob=!.git",
)  # fmt: skip
_TOKEN = re.compile(
    r"\\(?P<escape>.)|(?P<set>\[[^\]\\\[^]+\])|(?P<odd>[\[\].]|\(\?)|(?P<plain>.)", re.DOTALL
)
# ripgrep's classes are Unicode's, RE2's are ASCII's; a proposal must never be narrower than RE2.
_ESCAPES = {"w": "[0-9A-Za-z_]", "d": "[0-9]", "s": r"[\t\f\r ]", "b": r"(?-u:\b)", "t": r"\t"}


@cache
def executable() -> str | None:
    """Ripgrep beside our interpreter, else on the PATH; None where there is none."""
    beside = shutil.which("rg", path=str(Path(sys.executable).parent))
    return beside or shutil.which("rg")


def translated(pattern: str) -> str | None:
    """A regular expression that finds at least what RE2 finds; None where that is not certain."""
    parts: list[str] = []
    for token in _TOKEN.finditer(pattern):
        escape = token["escape"]
        if token["odd"] or (escape and escape.isalnum() and escape not in _ESCAPES):
            return None
        parts.append(_ESCAPES.get(escape, token[0]) if escape else token[0])
    return "".join(parts)


def proposed(
    root: Path, folder: str, pattern: str, *, regex: bool, case_sensitive: bool
) -> frozenset[str] | None:
    """The workspace-relative paths that may match, or None where every file must be read."""
    program = executable()
    wanted = translated(pattern) if regex else pattern
    if program is None or wanted is None or Path(program).resolve().is_relative_to(root):
        return None
    case = "--case-sensitive" if case_sensitive else "--ignore-case"
    kind = () if regex else ("--fixed-strings",)
    command = [program, *_OPTIONS, case, *kind, "-e", wanted, "--", f"./{folder}"]
    try:
        done = subprocess.run(  # noqa: S603 - our own ripgrep, an argument list, no shell
            command, cwd=root, capture_output=True, timeout=_SECONDS, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    if done.returncode not in {0, 1}:
        return None
    names = (os.fsdecode(name) for name in done.stdout.split(b"\0") if name)
    return frozenset(name.removeprefix("./") for name in names)
