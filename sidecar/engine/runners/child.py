"""An agent's process: started clean and in a session of its own, known for good, ended whole."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.engine.runners import artefacts
from sidecar.engine.runners.bounds import Bounds
from sidecar.engine.runners.process import MARK, end_tree, identity, of_run

IDENTITY = "process.json"
TAIL_BYTES = 20_000
# What a program needs to find its home, its certificates and its proxy; secrets are the user's
# to name in the configuration, and come with the specification.
_KEPT = frozenset({
    "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR",
    "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR",
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY",
    "http_proxy", "https_proxy", "no_proxy", "all_proxy",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE",
})  # fmt: skip


def environment(
    run_id: str, root: Path, given: Mapping[str, str], base: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """What an agent's process sees: the usual, what the specification gives, and the run's mark.

    The search path has no folder of the workspace, whose programs nobody chose.
    """
    kept = {k: v for k, v in base.items() if k in _KEPT or k.startswith("LC_")}
    merged = {**kept, "PATH": base.get("PATH", os.defpath), "TERM": "dumb", **given}
    merged["PATH"] = os.pathsep.join(_outside(merged["PATH"], root))
    return {**merged, MARK: run_id}


def _outside(path: str, root: Path) -> list[str]:
    folders = [Path(each) for each in path.split(os.pathsep) if each]
    within = root.resolve()
    return [
        str(each)
        for each in folders
        if each.is_absolute() and not each.resolve().is_relative_to(within)
    ]


@dataclass
class Child:
    """A started agent; its pipes are the caller's to read and write."""

    process: subprocess.Popen[bytes]
    known: dict[str, Any]

    @property
    def input(self) -> IO[bytes] | None:
        """Its standard input, None where it has none."""
        return self.process.stdin

    @property
    def has_exited(self) -> bool:
        """Whether it has; its exit status stays, so that its id isn't given to another yet."""
        if self.process.returncode is not None:
            return True
        if not hasattr(os, "waitid"):
            return self.process.poll() is not None
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        try:
            return os.waitid(os.P_PID, self.process.pid, flags) is not None
        except ChildProcessError:
            return True

    def end(self, bounds: Bounds) -> int:
        """End it with all that it started; returns how many processes are left, which is 0."""
        signals = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
        left = end_tree(self.known, tuple(zip(signals, bounds.ladder, strict=True)))
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(1)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe:
                with suppress(OSError):
                    pipe.close()
        return left


def start(
    argv: Sequence[str],
    *,
    root: Path,
    folder: Path,
    variables: Mapping[str, str],
    has_input: bool,
) -> Child:
    """Start an agent in the workspace and write down which process it is.

    Raises SidecarError E_NOT_FOUND where there is no such program, E_IO where it won't start.
    """
    program = _program(argv[0], variables["PATH"])
    try:
        process = subprocess.Popen(  # noqa: S603 - the user's own command, consented to, no shell
            [program, *argv[1:]],
            cwd=root,
            env=dict(variables),
            stdin=subprocess.PIPE if has_input else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        message = f"`{Path(argv[0]).name}` did not start: {why}."
        raise SidecarError(ErrorCode.IO, message) from error
    known = identity(process.pid, variables[MARK])
    artefacts.write(folder, IDENTITY, json.dumps(known) + "\n")
    return Child(process, known)


def recorded(folder: Path, run_id: str) -> dict[str, Any]:
    """The process that an attempt's folder tells of now; the mark alone where it tells of none.

    Only for an attempt that this process works on: later the folder is anybody's to write to.
    """
    try:
        known = json.loads((folder / IDENTITY).read_text("utf-8"))
        return {"pid": int(known["pid"]), "started": str(known["started"]), "mark": run_id}
    except (OSError, ValueError, KeyError, TypeError):
        return of_run(run_id)


def _program(name: str, path: str) -> str:
    """The program's path; a name with a folder must be absolute, or the workspace would choose."""
    is_path = os.sep in name
    found = shutil.which(name, path=path) if not is_path or Path(name).is_absolute() else None
    if found is None:
        message = f"The program `{name if not is_path else Path(name).name}` is not found."
        hint = "Install it, or give its absolute path among the `runners` of your settings."
        raise SidecarError(ErrorCode.NOT_FOUND, message, hint=hint)
    return found
