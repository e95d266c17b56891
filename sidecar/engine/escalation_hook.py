"""The user's own command that is called when a run is given up: the record on its input."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from sidecar.domain.run import RunRequest
from sidecar.engine.runners.process import MARK, end_tree, identity
from sidecar.services.context import Context
from sidecar.services.programs import outside
from sidecar.services.trust import is_trusted

SECONDS = 30.0
_KEPT = ("HOME", "USER", "LOGNAME", "LANG", "TZ", "TMPDIR", "XDG_RUNTIME_DIR", "DISPLAY")


def call(context: Context, request: RunRequest, record: dict[str, Any]) -> str:
    """Call the command, at most 30 seconds; what came of it, in a few words."""
    argv = context.settings.on_escalation
    if not argv:
        return "none is set"
    if not is_trusted(context):
        return "not called: nobody has agreed to what would run here"
    path = outside(context.workspace.root)
    program = shutil.which(argv[0], path=path) if _is_name_or_absolute(argv[0]) else None
    if program is None:
        return "not called: the program is not found"
    mark = f"hook:{request.run_id}"
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    told = json.dumps({"record": record, "run": request.run_id, "schedule": request.subject})
    try:
        process = subprocess.Popen(  # noqa: S603 - the user's own command, consented to, no shell
            [program, *argv[1:]],
            cwd=context.workspace.user.workspace_state(context.workspace.root),
            env={**kept, "PATH": path, MARK: mark},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        return f"not called: {error.strerror}"
    return _ended(process, told.encode(), mark)


def _is_name_or_absolute(program: str) -> bool:
    return os.sep not in program or Path(program).is_absolute()


def _ended(process: subprocess.Popen[bytes], told: bytes, mark: str) -> str:
    known = identity(process.pid, mark)
    try:
        process.communicate(told, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        end_tree(known)
        process.wait()
        return f"ended after {SECONDS:g} s"
    return f"exit {process.returncode}"
