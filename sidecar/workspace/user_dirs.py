"""The user's own folders: state, runtime and configuration, never inside a workspace."""

from __future__ import annotations

import json
import os
import secrets
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import filelock
import platformdirs

from sidecar.domain.errors import ErrorCode, SidecarError

APPLICATION = "loop-orchestrator"
REGISTRY_VERSION = 1
_REGISTRY = "workspaces.json"


def private(folder: Path) -> Path:
    """The folder, created with mode 0700 where it is missing; raises E_IO."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        message = "The sidecar's own folder on the user's side cannot be created."
        hint = "Set SIDECAR_HOME to a folder that may be written."
        raise SidecarError(ErrorCode.IO, message, hint=hint) from None
    return folder


@dataclass(frozen=True)
class UserDirs:
    """Where the sidecar keeps what belongs to the user; nothing is created before it is needed."""

    state: Path
    runtime: Path
    config: Path

    @classmethod
    def locate(
        cls, environ: Mapping[str, str] = os.environ, *, home: Path | None = None
    ) -> UserDirs:
        """The user's folders: all beneath ``home`` or SIDECAR_HOME, else the platform's own."""
        base = home or (Path(environ["SIDECAR_HOME"]) if environ.get("SIDECAR_HOME") else None)
        if base is not None:
            return cls(base / "state", base / "run", base / "config")
        return cls(
            platformdirs.user_state_path(APPLICATION, appauthor=False),
            _runtime(environ),
            platformdirs.user_config_path(APPLICATION, appauthor=False),
        )

    def workspace_id(self, root: Path) -> str:
        """The random id of a workspace, kept by its real path and inode; registers a new one.

        A folder deleted and made anew, or moved, is another workspace: consent never carries over.
        Raises E_NOT_FOUND where the folder is gone.
        """
        real = root.resolve()
        try:
            inode = real.stat().st_ino
        except OSError:
            message = "The workspace's folder cannot be found any more."
            hint = "Start the sidecar again where it is now."
            raise SidecarError(ErrorCode.NOT_FOUND, message, hint=hint) from None
        found = self._registered(real, inode)
        if found:
            return found
        with self._registering():
            found = self._registered(real, inode)
            if found:
                return found
            entry = {"id": secrets.token_hex(8), "path": str(real), "inode": inode}
            self._store_registry([*self._entries(), entry])
            return str(entry["id"])

    def workspace_state(self, root: Path) -> Path:
        """The folder of one workspace's index, journal, locks and consents; creates it."""
        return private(private(self.state) / "workspaces" / self.workspace_id(root))

    def workspace_runtime(self, root: Path) -> Path:
        """The short-lived folder of one workspace's socket and pid, mode 0700; creates it."""
        real = root.resolve()
        key = sha256(f"{real}\0{real.stat().st_ino}".encode()).hexdigest()[:16]
        folder = private(private(self.runtime) / key)
        if sys.platform != "win32" and folder.stat().st_uid != os.getuid():
            message = "The sidecar's runtime folder belongs to another user."
            raise SidecarError(ErrorCode.IO, message, hint="Set XDG_RUNTIME_DIR or SIDECAR_HOME.")
        return folder

    def _entries(self) -> list[dict[str, object]]:
        try:
            data = json.loads((self.state / _REGISTRY).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return []
        if data.get("version", 0) > REGISTRY_VERSION:
            message = "The sidecar's list of workspaces was written by a newer sidecar."
            hint = "Update this sidecar, or set SIDECAR_HOME to another folder."
            raise SidecarError(ErrorCode.UNAVAILABLE, message, hint=hint)
        return [entry for entry in data.get("workspaces", []) if isinstance(entry, dict)]

    def _registered(self, real: Path, inode: int) -> str:
        wanted = (str(real), inode)
        matches = (e for e in self._entries() if (e.get("path"), e.get("inode")) == wanted)
        return str(next(matches, {}).get("id", ""))

    @contextmanager
    def _registering(self) -> Iterator[None]:
        lock = private(self.state) / f"{_REGISTRY}.lock"
        with filelock.FileLock(lock, timeout=10, fallback_to_soft=False):
            yield

    def _store_registry(self, entries: list[dict[str, object]]) -> None:
        text = json.dumps({"version": REGISTRY_VERSION, "workspaces": entries}, indent=1)
        temporary = self.state / f".{_REGISTRY}.{secrets.token_hex(4)}"
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self.state / _REGISTRY)


def user_config_file(environ: Mapping[str, str] = os.environ) -> Path:
    """The user's own settings file, which need not exist."""
    return UserDirs.locate(environ).config / "config.toml"


def _runtime(environ: Mapping[str, str]) -> Path:
    # platformdirs warns on stderr without XDG_RUNTIME_DIR; the fallback is ours, checked above.
    if sys.platform.startswith("linux") and not environ.get("XDG_RUNTIME_DIR"):
        return Path(tempfile.gettempdir()) / f"{APPLICATION}-{os.getuid()}"
    return platformdirs.user_runtime_path(APPLICATION, appauthor=False)
