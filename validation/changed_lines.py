"""Which lines differ from a revision of git, and how much of them the tests executed.

Called only where the project's code may be executed anyway: git's filters are programs that the
project configures. Hooks, external diffs, file system monitors and text converters stay off.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

from validation.coverage_json import Changed, Coverage, Covered

PATIENCE_SECONDS = 60
_OFF = ("core.fsmonitor=false", f"core.hooksPath={os.devnull}", "core.quotePath=false",
        "core.untrackedCache=false", "submodule.recurse=false")  # fmt: skip
_FILE = re.compile(r'^\+\+\+ "?b/(.*?)"?\t?$')
_HUNK = re.compile(r"^@@ -\d+(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")


class GitError(Exception):
    """Git could not tell; the text says why."""


def measure(root: Path, base: str, coverage: Coverage) -> Changed:
    """The coverage of the lines that differ from ``base``, or from where the branch began."""
    try:
        revision = _revision(root, base)
        changed = _changed(root, revision)
    except GitError as error:
        return Changed(base, Covered("total", 0, 0), problem=str(error))
    files = tuple(
        found for file in coverage.files if (found := _part(file, changed.get(file.name, set())))
    )
    total = Covered("total", sum(f.numerator for f in files), sum(f.denominator for f in files))
    return Changed(base or _name(root, revision), total, files)


def changed(root: Path, base: str) -> dict[str, set[int]]:
    """The lines that differ from ``base``, or from where the branch began; raises GitError."""
    return _changed(root, _revision(root, base))


def _part(file: Covered, lines: set[int]) -> Covered | None:
    executed, missing = file.executed & lines, file.missing & lines
    if not executed and not missing:
        return None
    count = len(executed)
    return Covered(file.name, count, count + len(missing), executed, missing)


def _git(root: Path, *words: str) -> str:
    settings = [word for pair in _OFF for word in ("-c", pair)]
    kept = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    quiet = {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    command = ["git", "--no-pager", *settings, *words]
    try:
        done = subprocess.run(
            command,
            cwd=root,
            env={**kept, **quiet},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
    except OSError as error:
        raise GitError(f"git does not start ({error.strerror}).") from error
    except subprocess.TimeoutExpired as error:
        raise GitError(f"git did not answer within {PATIENCE_SECONDS} s.") from error
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise GitError(f"git says: {said[0] if said else f'status {done.returncode}'}.")
    return done.stdout.decode("utf-8", "surrogateescape")


def _revision(root: Path, base: str) -> str:
    """The commit to compare with: the named one, else where the branch left the main line."""
    if base:
        return _git(root, "merge-base", "--end-of-options", base, "HEAD").strip()
    for name in ("origin/HEAD", "origin/main", "origin/master"):
        try:
            return _git(root, "merge-base", name, "HEAD").strip()
        except GitError:
            continue
    return _git(root, "rev-parse", "--verify", "--end-of-options", "HEAD").strip()


def _name(root: Path, revision: str) -> str:
    return _git(root, "rev-parse", "--short", "--end-of-options", revision).strip()


def _changed(root: Path, revision: str) -> dict[str, set[int]]:
    """New and changed lines by file, paths as seen from the root; untracked files are all new."""
    diff = _git(
        root,
        *("diff", "--unified=0", "--relative", "--no-ext-diff", "--no-textconv", "--no-color"),
        *("--no-renames", "--src-prefix=a/", "--dst-prefix=b/", "--ignore-submodules=all"),
        *("--diff-filter=AM", revision, "--", "*.py"),
    )
    changed = added_lines(diff.split("\n"))
    listing = _git(root, "ls-files", "-z", "--others", "--exclude-standard", "--", "*.py")
    for name in filter(None, listing.split("\0")):
        try:
            changed[name] = set(range(1, (root / name).read_bytes().count(b"\n") + 2))
        except OSError:
            continue
    return changed


def added_lines(diff: Iterable[str]) -> dict[str, set[int]]:
    """The lines that a diff without context adds, by file."""
    changed: dict[str, set[int]] = {}
    name, rest = "", 0
    for line in diff:
        if rest:  # a line of content may look like a header
            rest -= 1 if line[:1] in ("+", "-") else 0
        elif found := _FILE.match(line):
            name = found[1]
        elif hunk := _HUNK.match(line):
            old, start, new = (int(hunk[1] or 1), int(hunk[2]), int(hunk[3] or 1))
            rest = old + new
            changed.setdefault(name, set()).update(range(start, start + new))
    return changed
