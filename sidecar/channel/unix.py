"""A Unix socket in the workspace's place, whose other end the kernel knows; not on Windows."""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys

from sidecar.channel.message import Unavailable
from sidecar.channel.place import Place

_BACKLOG = 128
# What folders say that can hold no socket, on a network's or a stick's file system for example.
_NO_SOCKETS = frozenset({
    errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENAMETOOLONG, errno.EINVAL, errno.ENOSYS,
    errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT,
    None,  # a name that is too long is refused before the system is asked
})  # fmt: skip


if sys.platform == "win32":

    def listen(_place: Place) -> socket.socket | None:
        """None: Python has no Unix sockets there."""
        return None

    def connected(_place: Place) -> socket.socket | None:
        """None: nobody listens on what does not exist."""
        return None

    def is_own(_connection: socket.socket) -> bool:
        """Whether the same user has connected; a pair within one process is its own."""
        return True

else:

    def listen(place: Place) -> socket.socket | None:
        """Listen on the place's socket; only who holds the lock may. None where none can be."""
        listener = None
        try:
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            listener.bind(place.socket)
            os.chmod(place.socket, 0o600)  # noqa: PTH101
            listener.listen(_BACKLOG)
        except OSError as error:
            if listener is not None:
                listener.close()
            if error.errno in _NO_SOCKETS:
                return None
            raise
        return listener

    def connected(place: Place) -> socket.socket | None:
        """A connection to who listens there, None where nobody does.

        Raises Unavailable where that is another user, or nobody may connect.
        """
        connection = None
        try:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            connection.connect(place.socket)
        except OSError as error:
            if connection is not None:
                connection.close()
            if isinstance(error, PermissionError):
                told = "The sidecar's socket may not be used from here."
                raise Unavailable(told) from None
            return None
        if not is_own(connection):
            connection.close()
            raise Unavailable("Another user listens in the place of the sidecar.")
        return connection

    def is_own(connection: socket.socket) -> bool:
        """Whether the same user is at the other end, as far as the system tells."""
        return peer(connection)[1] in {-1, os.getuid()}


def peer(connection: socket.socket) -> tuple[int, int]:
    """The process and the user at the other end, -1 where the system does not tell."""
    if sys.platform == "linux":
        size = struct.calcsize("3i")
        told = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
        process, user, _ = struct.unpack("3i", told)
    elif sys.platform == "darwin":
        told = connection.getsockopt(0, 1, 76)  # SOL_LOCAL, LOCAL_PEERCRED: struct xucred
        process, user = -1, struct.unpack_from("2I", told)[1]
    else:
        process, user = -1, -1
    return process, user
