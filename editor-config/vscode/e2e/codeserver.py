"""A real VS Code in the browser: code-server from npm, with Debian's Chromium."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from node import BUILD, node_environment, node_program, npm

HOME = BUILD / "code-server"
REQUIREMENTS = ["code-server@4.139.1", "playwright-core@1.65.1"]
NATIVE = ["@vscode/spdlog", "@vscode/native-watchdog"]
QUIET = ["--ignore-scripts", "--no-audit", "--no-fund"]


class NotRunError(Exception):
    """The machine lacks something that cannot be installed here."""


def install() -> dict[str, str]:
    """Install code-server without its optional native parts; returns Node's environment.

    Its own install script compiles for eight minutes and needs system libraries; only the logger
    and the watchdog are needed to edit files, and they take half a minute.
    """
    environment = node_environment()
    mark = HOME / "installed.json"
    if mark.is_file() and json.loads(mark.read_text()) == REQUIREMENTS:
        return environment
    missing = [tool for tool in ("make", "g++") if shutil.which(tool) is None]
    if missing:
        raise NotRunError(f"{' and '.join(missing)} needed to build code-server's logger")
    HOME.mkdir(parents=True, exist_ok=True)
    (HOME / "package.json").write_text('{"private": true}\n')
    npm(environment, HOME, "install", *QUIET, *REQUIREMENTS)
    code = HOME / "node_modules/code-server/lib/vscode"
    npm(environment, code, "install", "--omit=dev", *QUIET)
    npm(environment, code / "extensions", "install", "--omit=dev", *QUIET)
    npm(environment, code, "rebuild", *NATIVE)
    mark.write_text(json.dumps(REQUIREMENTS))
    return environment


def chromium() -> Path:
    """The system's Chromium; installs Debian's where that is possible, else raises NotRunError."""
    names = ("chromium", "chromium-browser", "google-chrome")
    if not any(map(shutil.which, names)):
        if shutil.which("apt-get") is None or os.geteuid() != 0:
            raise NotRunError("Chromium is not installed (Debian: apt-get install chromium)")
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        get = ["apt-get", "install", "--yes", "-qq", "--no-install-recommends", "chromium"]
        for command in (["apt-get", "update", "-qq"], get):
            if subprocess.run(
                command, env=quiet, stdout=subprocess.DEVNULL, check=False
            ).returncode:
                raise NotRunError(f"`{' '.join(command)}` failed")
    return Path(next(found for found in map(shutil.which, names) if found))


@dataclass(frozen=True)
class Profile:
    """A fresh user: home, settings and extensions in one folder."""

    folder: Path

    @property
    def arguments(self) -> list[str]:
        """What code-server is told about this user."""
        config = self.folder / "config.yaml"
        config.write_text("bind-addr: 127.0.0.1:0\nauth: none\ncert: false\n")
        pairs = {"config": config, "user-data-dir": self.data, "extensions-dir": self.extensions}
        return [f"--{name}={value}" for name, value in pairs.items()]

    @property
    def data(self) -> Path:
        """Settings of this user and of this machine."""
        return self.folder / "data"

    @property
    def extensions(self) -> Path:
        """Installed extensions."""
        return self.folder / "extensions"

    def configure(self, settings: Mapping[str, object], *, place: str = "User") -> None:
        """Write the settings of the user, or of the machine (``place="Machine"``)."""
        target = self.data / place / "settings.json"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(settings, indent=2))

    def environment(self, base: Mapping[str, str], sidecar: Path) -> dict[str, str]:
        """The environment of a user who has ``sidecar`` on PATH and no other state."""
        home = self.folder / "home"
        home.mkdir(parents=True, exist_ok=True)
        path = os.pathsep.join([str(sidecar), base["PATH"]])
        # VS Code asks the user's login shell for the environment of its extensions.
        (home / ".profile").write_text(f"export PATH={shlex.quote(path)}\n")
        kept = {k: v for k, v in base.items() if not k.startswith(("XDG_", "SIDECAR_", "VSCODE"))}
        return {**kept, "HOME": str(home), "SHELL": "/bin/sh", "PATH": path}


def add_extension(profile: Profile, environment: Mapping[str, str], package: Path) -> None:
    """Install a package into the profile; raises CalledProcessError."""
    command = [*_entry(), *profile.arguments, "--install-extension", str(package)]
    subprocess.run(command, env=dict(environment), check=True, timeout=120)


@contextmanager
def running(
    profile: Profile, environment: Mapping[str, str], *options: str, log: Path
) -> Iterator[str]:
    """Serve VS Code for the duration of the block; gives its address, leaves no process."""
    quiet = ["--disable-telemetry", "--disable-update-check", "--disable-getting-started-override"]
    command = [*_entry(), *profile.arguments, *quiet, *options]
    with log.open("wb") as stream:
        server = subprocess.Popen(
            command,
            env=dict(environment),
            cwd=profile.folder,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield _address(server, log)
    finally:
        _end(server)


def _entry() -> list[str]:
    return [str(node_program()), str(HOME / "node_modules/code-server/out/node/entry.js")]


def _address(server: subprocess.Popen[bytes], log: Path, *, seconds: float = 60) -> str:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and server.poll() is None:
        found = re.search(r"HTTP server listening on (http://\S+?)/?\s", log.read_text())
        if found:
            return found[1]
        time.sleep(0.1)
    raise RuntimeError(f"code-server did not start:\n{log.read_text()}")


def members(session: int) -> list[int]:
    """The live processes of a session."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(int(folder.name))
    return found


def run_bounded(command: list[str], environment: Mapping[str, str], *, seconds: float) -> bool:
    """Run a program to its end, or end it and all it started; says whether it succeeded."""
    program = subprocess.Popen(
        command, env=dict(environment), stdin=subprocess.DEVNULL, start_new_session=True
    )
    try:
        return program.wait(timeout=seconds) == 0
    except subprocess.TimeoutExpired:
        print(f"not finished after {seconds:.0f} s", file=sys.stderr)
        return False
    finally:
        _end(program)


def _end(server: subprocess.Popen[bytes], *, patience: float = 10) -> None:
    """End the server's whole session: politely, then for certain; raises if something is left."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for process in members(server.pid):
            try:
                os.kill(process, number)
            except ProcessLookupError:
                continue
        deadline = time.monotonic() + patience
        while members(server.pid) and time.monotonic() < deadline:
            server.poll()
            time.sleep(0.1)
    server.wait(timeout=patience)
    left = members(server.pid)
    if left:
        raise RuntimeError(f"still running: {left}")
