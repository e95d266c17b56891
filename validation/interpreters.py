"""Finds Pythons that really run: a name on the PATH may be a shim that only complains."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

PATIENCE_SECONDS = 20
MODULES = ("pytest", "coverage", "pytest_cov", "pytest_benchmark", "ruff", "mypy")
_QUESTION = """
import importlib.util, json, sys
print(json.dumps({
    "executable": sys.executable,
    "version": sys.version_info[:3],
    "modules": [name for name in sys.argv[1:] if importlib.util.find_spec(name)],
}))
"""


@dataclass(frozen=True)
class Interpreter:
    """A Python that answered, and which of the asked modules it can import."""

    executable: str
    version: tuple[int, ...]
    modules: frozenset[str]

    @property
    def isolation(self) -> tuple[str, ...]:
        """The option that keeps the current folder off the import path; new in 3.11."""
        return ("-P",) if self.version >= (3, 11) else ()


def ask(executable: str, cwd: Path, modules: Iterable[str] = MODULES) -> Interpreter | str:
    """What a Python answers, or the reason why it does not."""
    # -c puts '' on the path; a neutral folder keeps the project's files from answering.
    command = [executable, "-c", _QUESTION, *modules]
    try:
        done = subprocess.run(
            command, cwd=cwd, capture_output=True, timeout=PATIENCE_SECONDS, check=False
        )
        answer = json.loads(done.stdout.decode("utf-8", "replace").strip().splitlines()[-1])
        version, modules = tuple(answer["version"]), frozenset(answer["modules"])
        return Interpreter(str(answer["executable"]), version, modules)
    except OSError as error:
        return f"it does not start ({error.strerror})"
    except subprocess.TimeoutExpired:
        return f"it did not answer within {PATIENCE_SECONDS} s"
    except (ValueError, IndexError, KeyError, TypeError):
        complaint = done.stderr.decode("utf-8", "replace").strip().splitlines()
        return f"it answers with an error ({complaint[-1][:200] if complaint else 'no output'})"


def find(version: str, cwd: Path) -> Interpreter | None:
    """The first Python of that version, such as ``3.12``, that answers."""
    wanted = tuple(int(part) for part in version.split("."))
    for executable in _candidates(version):
        found = ask(executable, cwd)
        if isinstance(found, Interpreter) and found.version[: len(wanted)] == wanted:
            return found
    return None


def _candidates(version: str) -> Iterator[str]:
    if sys.version_info[:2] == tuple(int(part) for part in version.split(".")[:2]):
        yield getattr(sys, "_base_executable", "") or sys.executable
    name = f"python{version}"
    for folder in os.get_exec_path():
        if found := shutil.which(name, path=folder):
            yield found
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    uv = Path.home() / ".local/share/uv/python"
    for installed in (*pyenv.glob(f"{version}*"), *uv.glob(f"cpython-{version}*")):
        yield str(installed / "bin" / "python")
    for variable in ("pythonLocation", f"Python_ROOT_DIR_{version}"):
        if place := os.environ.get(variable):
            yield str(Path(place) / ("python.exe" if sys.platform == "win32" else "bin/python"))
