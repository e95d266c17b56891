"""The agents from npm, in a folder of the build that Git ignores; Node comes from PyPI."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "editor-config" / "vscode"))

import node  # noqa: E402

FOLDER = ROOT / "build" / "agents"
INSTALL_SECONDS = 580


def search_path() -> list[str]:
    """The folders in which a user of the agents has Node and our program."""
    return [str(node.node_program().parent), str(Path(sys.executable).parent)]


def install(packages: Iterable[str]) -> dict[str, str]:
    """Install npm packages; returns the reason for each that could not be had."""
    missing = [package for package in packages if not _is_here(package)]
    return {package: reason for package in missing if (reason := _installed(package))}


def program(name: str) -> Path:
    """The program that a package brings."""
    return FOLDER / "node_modules" / ".bin" / name


def _is_here(package: str) -> bool:
    name, _, version = package.rpartition("@")
    manifest = FOLDER / "node_modules" / name / "package.json"
    return manifest.is_file() and json.loads(manifest.read_text("utf-8"))["version"] == version


def _installed(package: str) -> str:
    """Install one; returns why it failed, or nothing."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    manifest = FOLDER / "package.json"
    if not manifest.is_file():
        manifest.write_text('{"private": true}\n', "utf-8")
    try:
        environment = node.node_environment()
    except (OSError, subprocess.CalledProcessError) as error:
        return f"Node could not be had: {error}"
    script = [str(node.node_program()), environment["SIDECAR_NPM"], "install", "--save-exact"]
    quiet = ["--no-audit", "--no-fund", "--loglevel=error"]
    try:
        result = subprocess.run(
            [*script, *quiet, package],
            cwd=FOLDER,
            env=environment,
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"not installed within {INSTALL_SECONDS} s"
    told = result.stderr.strip().splitlines() or ["no reason given"]
    return "" if result.returncode == 0 else f"npm: {told[0]}"
