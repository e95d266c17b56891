"""Build the VS Code extension: types, tests, bundle, package."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from node import BUILD, ROOT, node_environment, npm

EXTENSION = Path(__file__).resolve().parent
PACKAGE = BUILD / "loop-orchestrator.vsix"


def install(environment: dict[str, str]) -> None:
    """Install what the lock file names, unless exactly that is there already."""
    lock = hashlib.sha256((EXTENSION / "package-lock.json").read_bytes()).hexdigest()
    mark = EXTENSION / "node_modules" / ".installed-lock"
    if not mark.is_file() or mark.read_text() != lock:
        npm(environment, EXTENSION, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
        mark.write_text(lock)


def is_current() -> bool:
    """Whether the package is younger than everything it is made of."""
    made_of = [EXTENSION / "package.json", EXTENSION / "README.md", *EXTENSION.glob("src/*.ts")]
    built = PACKAGE.stat().st_mtime if PACKAGE.is_file() else 0.0
    return built > max(path.stat().st_mtime for path in made_of)


def build() -> Path:
    """Check and package the extension; raises CalledProcessError."""
    environment = node_environment()
    install(environment)
    shutil.copyfile(ROOT / "LICENSE", EXTENSION / "LICENSE")
    for script in ("check", "test", "bundle"):
        npm(environment, EXTENSION, "run", "--silent", script)
    options = ["--no-dependencies", "--allow-missing-repository", "-o", str(PACKAGE)]
    npm(environment, EXTENSION, "exec", "--", "vsce", "package", *options)
    return PACKAGE


if __name__ == "__main__":
    print(build())
