"""What a project has, read from its files alone: nothing of it is executed."""

from __future__ import annotations

import errno
import os
import stat
import sys
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

IGNORED = {
    ".git", ".hg", ".venv", "venv", ".nox", ".tox", "node_modules", "__pycache__", ".sidecar",
    ".mypy_cache", ".ruff_cache", ".pytest_cache", "build", "dist", "site-packages", ".eggs",
}  # fmt: skip
ENTRIES = 50_000
PROJECT_BYTES = 4_000_000


def walk(root: Path) -> Iterator[Path]:
    """The project's own regular files, links and ignored folders left out, at most 50,000."""
    count = 0
    for folder, names, files in os.walk(root):
        names[:] = sorted(
            name
            for name in names
            if name not in IGNORED and not (Path(folder) / name / "pyvenv.cfg").exists()
        )
        for name in sorted(files):
            count += 1
            if count > ENTRIES:
                return
            path = Path(folder) / name
            if path.is_file() and not path.is_symlink():
                yield path


def below(file: str, pattern: str) -> bool:
    """Whether a workspace-relative path lies in a folder or matches a glob."""
    return file == pattern or file.startswith(pattern.rstrip("/") + "/") or fnmatch(file, pattern)


def pyproject(root: Path) -> Any:
    """The project's pyproject.toml; raises OSError, UnicodeDecodeError, TOMLDecodeError.

    A stranger's may be a pipe, a device or a link to one: neither is waited for nor read.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(root / "pyproject.toml", flags)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file")
        data = file.read(PROJECT_BYTES + 1)
    if len(data) > PROJECT_BYTES:
        raise OSError(errno.EFBIG, f"it has over {PROJECT_BYTES:,} bytes")
    try:
        return tomllib.loads(data.decode("utf-8"))
    except RecursionError:
        raise OSError(errno.EINVAL, "it is nested too deeply") from None


def tool_table(root: Path, name: str) -> Any:
    """``[tool.NAME]`` of the project's pyproject.toml, or None."""
    try:
        data = pyproject(root)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return None
    tools = data.get("tool")
    return tools.get(name) if isinstance(tools, dict) else None


def has_agent_files(root: Path) -> bool:
    """Whether agents work here by the files that the sidecar looks after."""
    names = (".roomodes", ".zoomodes", ".roo", "TODO.md", "task_timing.tsv", "persistent-memory.md")
    return any((root / name).exists() for name in names)


def has_ruff(root: Path) -> bool:
    """Whether ruff is configured."""
    named = any((root / name).is_file() for name in ("ruff.toml", ".ruff.toml"))
    return named or tool_table(root, "ruff") is not None


def has_mypy(root: Path) -> bool:
    """Whether mypy is configured, with the files that it is to check."""
    named = any((root / name).is_file() for name in ("mypy.ini", ".mypy.ini"))
    table = tool_table(root, "mypy")
    return named or (isinstance(table, dict) and "files" in table)


def has_python(root: Path) -> bool:
    """Whether there is any Python in the project."""
    return any(path.suffix == ".py" for path in walk(root))


def has_tests(folder: Path) -> bool:
    """Whether a folder holds files that pytest collects by default."""
    return any(fnmatch(p.name, "test_*.py") or fnmatch(p.name, "*_test.py") for p in walk(folder))


def interpreter(root: Path) -> str:
    """The project's own virtual environment, else the Python that runs the harness."""
    inner = "Scripts/python.exe" if sys.platform == "win32" else "bin/python"
    for name in (".venv", "venv"):
        if (root / name / "pyvenv.cfg").is_file():
            return str(root / name / inner)
    return sys.executable
