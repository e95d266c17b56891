"""A sidecar on a port of this machine, where there are no Unix sockets.

The kernel does not say who is at the other end of a port, and a sidecar that was killed leaves an
address behind that any program may listen on next. So both prove that they have read the address's
token, which only its user can read, before either says a word; the token itself is never sent.
"""

from __future__ import annotations

import os
import socket
import stat
import sys
import time
from _operator import _compare_digest as compare_digest  # as hmac has it, without OpenSSL
from contextlib import suppress
from typing import NamedTuple

from sidecar.channel.message import Unavailable
from sidecar.channel.place import Place, is_own

try:
    # hashlib would load OpenSSL: 3 ms and 4 MB for every client.
    from _blake2 import blake2s
except ImportError:
    from hashlib import blake2s

LOOPBACK = "127.0.0.1"
# What a channel begins with, so that whoever calls by mistake gets no answer at all.
CALL = b"sidecar\x01"
SIZE = 32
PROOF_SECONDS = 60.0
_BACKLOG = 128
_MOST_ADDRESS_BYTES = 128
_SHARING_SECONDS = 2.0


class Address(NamedTuple):
    """Where a sidecar listens, and what proves that one was told so."""

    port: int
    token: bytes


def proof(token: bytes, who: bytes, asked: bytes, asking: bytes) -> bytes:
    """What only ``who`` has the token can say to two numbers that were never used before."""
    return blake2s(asked + asking, key=token, person=who).digest()


def connected(place: Place) -> socket.socket | None:
    """A connection to the sidecar whose address lies in its place, None where it is not there.

    Raises Unavailable where somebody else has written the address.
    """
    address = read(place)
    if address is None:
        return None
    connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        connection.settimeout(PROOF_SECONDS)
        connection.connect((LOOPBACK, address.port))
        if _has_proved(connection, address.token):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connection
    except OSError:
        pass
    connection.close()
    return None


def _has_proved(connection: socket.socket, token: bytes) -> bool:
    """Whether the sidecar is at the other end; then it is told that we are its user's too."""
    # A port that nobody listens on may be given to the very connection that looks for it.
    if connection.getsockname() == connection.getpeername():
        return False
    ours = os.urandom(SIZE)
    connection.sendall(CALL + ours)
    told = _exactly(connection, 2 * SIZE)
    theirs, answer = told[:SIZE], told[SIZE:]
    if not compare_digest(answer, proof(token, b"sidecar", ours, theirs)):
        return False
    connection.sendall(proof(token, b"channel", theirs, ours))
    return True


def admitted(connection: socket.socket, token: bytes) -> bool:
    """Whether whoever has connected knows the token; the sidecar's side, raises OSError."""
    told = _exactly(connection, len(CALL) + SIZE)
    if not told.startswith(CALL):
        return False
    ours, theirs = os.urandom(SIZE), told[len(CALL) :]
    connection.sendall(ours + proof(token, b"sidecar", theirs, ours))
    if not compare_digest(_exactly(connection, SIZE), proof(token, b"channel", ours, theirs)):
        return False
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return True


def _exactly(connection: socket.socket, count: int) -> bytes:
    """So many bytes; raises ConnectionError where the connection ends before."""
    read = b""
    while len(read) < count:
        chunk = connection.recv(count - len(read))
        if not chunk:
            raise ConnectionAbortedError
        read += chunk
    return read


def listen(place: Place) -> tuple[socket.socket, bytes]:
    """Listen, and write the address; only who holds the lock may. Returns the token too."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if sys.platform == "win32":
            # Another program could take the port over otherwise.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        listener.bind((LOOPBACK, 0))
        listener.listen(_BACKLOG)
        token = os.urandom(SIZE)
        _write(place, Address(listener.getsockname()[1], token))
    except OSError:
        listener.close()
        raise
    return listener, token


def _write(place: Place, address: Address) -> None:
    temporary = f"{place.address}.new"
    with suppress(FileNotFoundError):
        os.unlink(temporary)  # noqa: PTH108
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    descriptor = os.open(temporary, flags, 0o600)
    try:
        os.write(descriptor, b"%d %b\n" % (address.port, address.token.hex().encode()))
    finally:
        os.close(descriptor)
    until = time.monotonic() + _SHARING_SECONDS
    while True:
        try:
            os.replace(temporary, place.address)  # noqa: PTH105
        except PermissionError:
            # Windows replaces no file while somebody reads it.
            if time.monotonic() > until:
                raise
            time.sleep(0.01)
        else:
            return


def read(place: Place) -> Address | None:
    """The address in a place, None where there is none; raises Unavailable if it is no secret."""
    try:
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        descriptor = os.open(place.address, flags)
    except OSError:
        return None
    with open(descriptor, "rb", buffering=0) as file:  # noqa: PTH123
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or not _is_secret(found):
            raise Unavailable("The sidecar's address was written by somebody else.")
        told = file.read(_MOST_ADDRESS_BYTES)
    return _parsed(told)


def _is_secret(found: os.stat_result) -> bool:
    return is_own(found) and (sys.platform == "win32" or not found.st_mode & 0o077)


def _parsed(told: bytes) -> Address | None:
    port, _, token = told.partition(b" ")
    try:
        address = Address(int(port), bytes.fromhex(token.decode()))
    except ValueError:
        return None
    return address if len(address.token) == SIZE and 0 < address.port < 65_536 else None
