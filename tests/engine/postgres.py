"""A private PostgreSQL on loopback, in a folder of its own; nothing of the system's is touched."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

_PLACES = "/usr/lib/postgresql/*/bin/initdb", "/usr/local/pgsql/bin/initdb"
_OPTIONS = "-c max_connections=60 -c shared_buffers=32MB"


class UnavailableError(Exception):
    """Why there is no PostgreSQL here, as a sentence."""


def binaries(*, install: bool = False) -> Path:
    """The folder of initdb and pg_ctl; raises UnavailableError."""
    found = shutil.which("initdb")
    places = [Path(found)] if found else []
    places += [each for place in _PLACES for each in sorted(Path("/").glob(place[1:]))]
    if places:
        return places[-1].resolve().parent
    if install and os.getuid() == 0 and shutil.which("apt-get"):
        command = ["apt-get", "install", "--yes", "--no-install-recommends", "postgresql"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode == 0:
            return binaries()
        message = "PostgreSQL could not be installed: " + done.stderr.strip()[-200:]
        raise UnavailableError(message)
    message = "PostgreSQL's initdb is not here (Debian: apt-get install postgresql)"
    raise UnavailableError(message)


def _other_user() -> list[str]:
    """How to become somebody else, because PostgreSQL refuses to run as root."""
    if os.getuid() != 0:
        return []
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        ids = [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
        if shutil.which("setpriv"):
            return ["setpriv", *ids]
    message = "PostgreSQL does not run as root, and there is no setpriv or no other user"
    raise UnavailableError(message)


@dataclass
class Cluster:
    """One server; ``url`` names its database."""

    bin: Path
    folder: Path
    port: int
    fsync: bool = True

    @classmethod
    def start(cls, *, install: bool = False, fsync: bool = True) -> Cluster:
        """A new cluster that answers; raises UnavailableError.

        Without ``fsync`` it may lose writes with the machine, never with its own crash.
        """
        programs = binaries(install=install)
        become = _other_user()
        # The socket's path must be short, and another user must reach it.
        folder = Path(tempfile.mkdtemp(prefix="pg-"))
        if become:
            uid = int(become[1].partition("=")[2])
            os.chown(folder, uid, -1)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        made = cls(programs, folder, port, fsync)
        made._run(
            "initdb",
            "--username=sidecar",
            "--auth=trust",
            "--no-sync",
            "--no-instructions",
            "-D",
            "data",
        )
        made.up()
        return made

    @property
    def url(self) -> str:
        """The database, as the setting names it."""
        return f"postgresql://sidecar@127.0.0.1:{self.port}/postgres"

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        """Execute a statement outside of any transaction."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def up(self) -> None:
        """Start the server and wait until it answers."""
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -k {self.folder} {_OPTIONS}"
        options += "" if self.fsync else " -c fsync=off -c full_page_writes=off"
        self._run("pg_ctl", "-D", "data", "-w", "-t", "60", "-l", "log", "-o", options, "start")

    def down(self, mode: str = "immediate") -> None:
        """Stop it; ``immediate`` is how it looks when the power fails."""
        self._run("pg_ctl", "-D", "data", "-w", "-t", "60", "-m", mode, "stop")

    def remove(self) -> None:
        """Stop it and delete everything."""
        self.down()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> None:
        command = [*_other_user(), str(self.bin / program), *arguments]
        done = subprocess.run(
            command, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            text=True, timeout=120, check=False,
        )  # fmt: skip
        if done.returncode:
            message = f"{program} failed: {done.stderr.strip()[-300:]}"
            raise UnavailableError(message)
