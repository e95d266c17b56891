"""A run's request as JSON, complete in itself, and back."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

from sidecar.domain.run import Origin, RunRequest

_FIELDS = tuple(field.name for field in fields(RunRequest))
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_dict(request: RunRequest) -> dict[str, Any]:
    """The request as JSON-able values; a slot is written in UTC."""
    values = {name: getattr(request, name) for name in _FIELDS}
    slot = None if request.slot is None else request.slot.astimezone(UTC).isoformat()
    return values | {"origin": request.origin.value, "slot": slot}


def from_dict(values: dict[str, Any]) -> RunRequest:
    """The request again; keys that a newer sidecar wrote are left out."""
    known = {name: values[name] for name in _FIELDS if name in values}
    slot = datetime.fromisoformat(known["slot"]) if known.get("slot") else None
    return RunRequest(**known | {"origin": Origin(known["origin"]), "slot": slot})


def milliseconds(moment: datetime) -> int:
    """An instant as a database holds it: milliseconds since 1970."""
    return round((moment - _EPOCH).total_seconds() * 1000)


def instant(value: int | None) -> datetime | None:
    """What ``milliseconds`` made; None stays None."""
    if value is None:
        return None
    seconds, rest = divmod(value, 1000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest * 1000)
