"""What of several messages has reached a sidecar that dies while they are sent."""

from __future__ import annotations

import socket
import threading

import pytest

from sidecar.channel.frames import MESSAGE, frame, frames
from sidecar.channel.seat import Link


def test_all_messages_are_sent_however_large():
    ours, theirs = socket.socketpair()
    bodies = [b"a" * 10, b"b" * 300_000, b"", b"c" * 5]
    got: list[bytes] = []
    reading = threading.Thread(target=lambda: got.extend(body for _, body in frames(theirs)))
    reading.start()
    link = Link(ours, {})
    assert link.send_all([frame(MESSAGE, body) for body in bodies]) == len(bodies)
    link.close()
    reading.join(30)
    assert got == bodies


def test_nothing_counts_as_sent_where_nobody_listens():
    ours, theirs = socket.socketpair()
    theirs.close()
    assert Link(ours, {}).send_all([frame(MESSAGE, b"a"), frame(MESSAGE, b"b")]) == 0


@pytest.mark.parametrize("taken", [1, 4_000, 40_000, 250_000])
def test_only_messages_that_went_whole_count_as_sent(taken: int):
    """The other end takes so many bytes and dies; what lay in the buffers counts as sent."""
    ours, theirs = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
    messages = [frame(MESSAGE, b"%05d" % number * 200) for number in range(400)]

    def die() -> None:
        left = taken
        while left > 0:
            left -= len(theirs.recv(left))
        theirs.close()

    dying = threading.Thread(target=die)
    dying.start()
    sent = Link(ours, {}).send_all(messages)
    dying.join(30)
    size = len(messages[0])
    assert taken // size <= sent < len(messages)


def test_a_list_of_none_is_sent_at_once():
    ours, _theirs = socket.socketpair()
    assert Link(ours, {}).send_all([]) == 0
