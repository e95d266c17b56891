"""The tests on every supported Python that really runs here: ``make pythons``."""

from __future__ import annotations

import os
from pathlib import Path

import nox

from validation.interpreters import find

VERSIONS = ("3.11", "3.12", "3.13")
HERE = Path(__file__).parent
FOUND = {version: found for version in VERSIONS if (found := find(version, HERE / "state"))}

# nox looks a version up on the PATH, where a shim may answer that knows no such version.
folders = [str(Path(found.executable).parent) for found in FOUND.values()]
os.environ["PATH"] = os.pathsep.join([*folders, os.environ.get("PATH", "")])

nox.options.sessions = ["tests"]
nox.options.reuse_existing_virtualenvs = True
nox.options.error_on_missing_interpreters = False


@nox.session(python=VERSIONS)
def tests(session: nox.Session) -> None:
    """Run the suite; further arguments go to pytest, such as another ``-m``."""
    if session.python not in FOUND:
        session.skip(f"no Python {session.python} that runs was found")
    session.install("--quiet", "--editable", ".[tests]")
    session.run("python", "-P", "-m", "pytest", "-q", "-m", "not editor", *session.posargs)
