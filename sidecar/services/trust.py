"""Consent: what executes a workspace's code asks first, and only a person can answer."""

from __future__ import annotations

import hashlib
import json
import tomllib
from dataclasses import dataclass
from typing import Any

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.services.context import Context
from sidecar.settings import Settings
from sidecar.workspace.workspace import Workspace

COLLECTION = "trust"
KEY = "workspace"
# Enough for any sane configuration; a larger one is refused rather than half shown to a person.
MAX_PYPROJECT_BYTES = 1_000_000


@dataclass(frozen=True)
class Consent:
    """What a person agreed to: the digest of everything that may run, and when."""

    digest: str
    given_at: str


def commands(workspace: Workspace, settings: Settings) -> dict[str, Any]:
    """Everything in the settings that decides what would be executed here, for a person to read."""
    return {
        "pytest": ["pytest", *settings.tests],
        "interpreter": settings.interpreter or "the sidecar's own",
        "validation": _validation_table(workspace),
    }


def _validation_table(workspace: Workspace) -> Any:
    try:
        data = workspace.files.read("pyproject.toml", limit=MAX_PYPROJECT_BYTES).data
        table: Any = tomllib.loads(data.decode("utf-8"))
    except (SidecarError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return {}
    for key in ("tool", "sidecar", "validation"):
        table = table.get(key, {}) if isinstance(table, dict) else {}
    return table


def digest(workspace: Workspace, settings: Settings) -> str:
    """A hash of every setting that names a command; consent is bound to it."""
    text = json.dumps(commands(workspace, settings), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def consent(workspace: Workspace) -> Consent | None:
    """The consent on record for this folder, on the user's side."""
    with workspace.store.transaction() as transaction:
        record = transaction.get(COLLECTION, KEY)
    return Consent(**record) if record else None


def grant(context: Context) -> Consent:
    """Record a person's consent to what may run now; no tool reaches this function."""
    given = Consent(
        digest(context.workspace, context.settings),
        context.clock().isoformat(timespec="seconds"),
    )
    with context.workspace.store.transaction() as transaction:
        transaction.put(COLLECTION, KEY, {"digest": given.digest, "given_at": given.given_at})
    return given


def revoke(workspace: Workspace) -> bool:
    """Forget the consent; whether there was one."""
    with workspace.store.transaction() as transaction:
        known = transaction.get(COLLECTION, KEY) is not None
        transaction.delete(COLLECTION, KEY)
    return known


def is_trusted(context: Context) -> bool:
    """Whether a person has agreed to exactly what would run now."""
    if context.code_allowed:
        return True
    given = consent(context.workspace)
    return given is not None and given.digest == digest(context.workspace, context.settings)


def require(context: Context, what: str) -> None:
    """Refuse with E_UNTRUSTED unless a person agreed; ``what`` names the act, as in "run tests"."""
    if is_trusted(context):
        return
    changed = consent(context.workspace) is not None
    reason = (
        "the commands in its settings changed since it was trusted"
        if changed
        else "nobody has trusted this workspace yet"
    )
    raise SidecarError(
        ErrorCode.UNTRUSTED,
        f"To {what} would execute the workspace's own code, and {reason}.",
        hint="A person must run `sidecar trust` in the workspace; no tool can.",
    )
