"""Which files may hold a match, by ripgrep: it only proposes.

While a folder is exchanged for a link, ripgrep can be led outside; so nothing of what it prints
but names is used, and every file is read again through the confined paths. It is given the files
that our own walk found: ripgrep waits for ever on an ignore file that is a pipe, and fills the
memory with one that is a link to an endless device.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

_SECONDS = 5.0
_OPTIONS = (
    "--no-config", "--files-with-matches", "--with-filename", "--null", "--no-messages", "--text",
    "--crlf", "--no-ignore", "--hidden", "--max-filesize=16M", "--threads=2",
)  # fmt: skip
# Bytes of names on one command line: Windows allows 32 KiB, Linux 2 MiB with the environment.
_COMMAND_LINE = 20_000 if sys.platform == "win32" else 500_000
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
    root: Path, paths: Sequence[str], pattern: str, *, regex: bool, case_sensitive: bool
) -> frozenset[str] | None:
    """Those of the workspace-relative paths that may match, or None where all must be read."""
    program = executable()
    wanted = translated(pattern) if regex else pattern
    if program is None or wanted is None or Path(program).resolve().is_relative_to(root):
        return None
    case = "--case-sensitive" if case_sensitive else "--ignore-case"
    kind = () if regex else ("--fixed-strings",)
    command = [program, *_OPTIONS, case, *kind, "-e", wanted, "--"]
    ends = time.monotonic() + _SECONDS
    found: set[str] = set()
    for names in _command_lines(paths):
        printed = _printed([*command, *names], root, ends - time.monotonic())
        if printed is None:
            return None
        found.update(os.fsdecode(name).removeprefix("./") for name in printed if name)
    return frozenset(found)


def _command_lines(paths: Sequence[str]) -> Iterator[list[str]]:
    """The paths in as few lists as command lines can hold, none looking like an option."""
    names: list[str] = []
    size = 0
    for path in paths:
        names.append(f"./{path}")
        size += len(path) * 4 + 16
        if size > _COMMAND_LINE:
            yield names
            names, size = [], 0
    if names:
        yield names


def _printed(command: list[str], root: Path, seconds: float) -> list[bytes] | None:
    """The names that ripgrep prints, None where it fails or is not done in time."""
    try:
        done = subprocess.run(  # noqa: S603 - our own ripgrep, an argument list, no shell
            command, cwd=root, capture_output=True, timeout=max(0.0, seconds), check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    return done.stdout.split(b"\0") if done.returncode in {0, 1} else None
