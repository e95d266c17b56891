"""What a channel does where no sidecar can be had."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidecar.channel.message import Json
from sidecar.channel.place import Place

if TYPE_CHECKING:
    from sidecar.channel.seat import Link


def alone(place: Place, hello: Json) -> Link:
    """A link to a sidecar within this process, where no other can be had."""
    from sidecar.host import hosting  # noqa: PLC0415 - a channel must not wait for it

    return hosting.within(place, hello)
