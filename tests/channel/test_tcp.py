"""A sidecar on a port of this machine lives as one on a Unix socket does, and knows its user."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sidecar.channel import seat, tcp
from sidecar.channel.frames import line
from sidecar.channel.message import Unavailable
from sidecar.channel.place import Place, place_of
from sidecar.host.callers import MOST_CALLERS, Callers
from tests.channel.clients import agent, alive, crash, sidecar, sidecars, status, total, until

# Collected here once more, where the fixture below lets everybody listen by TCP.
from tests.channel.test_life import (  # noqa: F401
    test_agents_that_start_at_once_share_one_sidecar,
    test_another_version_or_python_replaces_the_sidecar_once_its_work_is_done,
    test_the_sidecar_is_nobodys_child_and_has_no_secret_of_who_started_it,
    test_what_was_asked_while_no_sidecar_was_there_is_answered_by_the_next,
)
from tests.conftest import EXAMPLE
from tests.faces.wire import PATIENCE

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc")

HALF_OPEN = 1_000


@pytest.fixture(autouse=True)
def by_tcp(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every sidecar of this module listens by TCP."""
    monkeypatch.setenv(seat.TRANSPORT, "tcp")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """The place of a sidecar that serves an agent by TCP, for all who only talk to it."""
    folder = tmp_path_factory.mktemp("tcp")
    root = shutil.copytree(EXAMPLE, folder / "workspace")
    environment = {"SIDECAR_HOME": str(folder / "home"), seat.TRANSPORT: "tcp"}
    client = agent(root, env={**os.environ, **environment})
    client.initialize()
    assert total(client) == 6
    served = place_of(str(root), environment)
    assert said_by(served)["transport"] == "tcp"
    yield served
    link = seat.ask(served, seat.greeting("stop", served))
    assert link is not None
    link.close()
    client.kill()


def said_by(place: Place) -> dict[str, Any]:
    """What a sidecar says of itself."""
    link = seat.ask(place, seat.greeting("status", place))
    assert link is not None
    link.close()
    return link.answer


def called(place: Place) -> socket.socket:
    """A connection to the sidecar that has said nothing yet."""
    address = tcp.read(place)
    assert address is not None
    return socket.create_connection((tcp.LOOPBACK, address.port), PATIENCE)


def heard(connection: socket.socket) -> bytes:
    """All that is said until the other end closes the connection."""
    told = b""
    try:
        while chunk := connection.recv(65_536):
            told += chunk
    except ConnectionResetError:
        pass
    return told


@pytest.mark.parametrize(
    "said",
    [
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: keep-alive\r\nAccept: */*\r\n\r\n",
        line({"sidecar": 1, "face": "status"}).rjust(200),
    ],
)
def test_who_does_not_know_how_to_call_gets_no_answer(place, said):
    with called(place) as stranger:
        stranger.sendall(said)
        assert heard(stranger) == b""


@pytest.mark.parametrize("token", [b"", os.urandom(tcp.SIZE)], ids=["none", "wrong"])
def test_who_has_no_token_or_a_wrong_one_gets_no_answer_to_a_greeting(place, token):
    with called(place) as stranger:
        ours = os.urandom(tcp.SIZE)
        stranger.sendall(tcp.CALL + ours)
        told = stranger.recv(2 * tcp.SIZE, socket.MSG_WAITALL)
        claim = tcp.proof(token, b"channel", told[: tcp.SIZE], ours)
        stranger.sendall(claim + line(seat.greeting("status", place)))
        assert heard(stranger) == b""


def test_what_the_sidecar_proves_cannot_be_said_back_to_it(place):
    """A stranger has it prove things and passes them off as its own."""
    with called(place) as one:
        one.sendall(tcp.CALL + os.urandom(tcp.SIZE))
        number = one.recv(2 * tcp.SIZE, socket.MSG_WAITALL)[: tcp.SIZE]
        with called(place) as other:
            other.sendall(tcp.CALL + number)
            proof = other.recv(2 * tcp.SIZE, socket.MSG_WAITALL)[tcp.SIZE :]
        one.sendall(proof + line(seat.greeting("status", place)))
        assert heard(one) == b""


def test_an_exchange_that_was_watched_is_of_no_use(place):
    token = tcp.read(place).token
    with called(place) as honest:
        ours = os.urandom(tcp.SIZE)
        honest.sendall(tcp.CALL + ours)
        theirs = honest.recv(2 * tcp.SIZE, socket.MSG_WAITALL)[: tcp.SIZE]
        said = tcp.proof(token, b"channel", theirs, ours)
        said += line(seat.greeting("status", place))
        honest.sendall(said)
        assert json.loads(heard(honest))["running"] is True
    with called(place) as stranger:
        stranger.sendall(tcp.CALL + ours + said)
        assert len(heard(stranger)) <= 2 * tcp.SIZE


def test_the_token_is_told_nowhere_but_in_its_file(place):
    token = tcp.read(place).token
    process = said_by(place)["pid"]
    told = [
        *(Path(f"/proc/{process}/{name}").read_bytes() for name in ("cmdline", "environ")),
        json.dumps(said_by(place)).encode(),
    ]
    files = (each for each in Path(place.root).parent.rglob("*") if each.is_file())
    told += [each.read_bytes() for each in files if str(each) != place.address]
    assert not any(token.hex().encode() in each or token in each for each in told)
    assert Path(place.address).stat().st_mode & 0o777 == 0o600
    assert Path(place.folder).stat().st_mode & 0o777 == 0o700


class Stranger:
    """Another program that listens where an address points to, and what it was told."""

    def __init__(self, port: int, answer: bytes) -> None:
        self.listener = socket.create_server((tcp.LOOPBACK, port))
        self.port = self.listener.getsockname()[1]
        self.told: list[bytes] = []
        self._answer = answer
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                said = connection.recv(len(tcp.CALL) + tcp.SIZE, socket.MSG_WAITALL)
                connection.sendall(self._answer)
                connection.shutdown(socket.SHUT_WR)
                self.told.append(said + heard(connection))


def test_nobody_calls_at_the_address_of_a_sidecar_that_was_killed(
    start, example_workspace, user_directory
):
    channel = start(example_workspace)
    channel.initialize()
    assert total(channel) == 6
    place = place_of(str(example_workspace))
    old = tcp.read(place)
    channel.process.send_signal(signal.SIGSTOP)  # it must not be quicker than the stranger
    [process] = sidecars(user_directory)
    os.kill(process, signal.SIGKILL)
    lock = until(lambda: seat.take(place))
    until(lambda: not alive(process))
    assert tcp.read(place) == old
    # Its port goes to another program, as after a while it may.
    stranger = Stranger(0, bytes(2 * tcp.SIZE))
    Path(place.address).write_text(f"{stranger.port} {old.token.hex()}\n")
    os.close(lock)
    newcomer = start(example_workspace)
    channel.process.send_signal(signal.SIGCONT)
    newcomer.initialize()
    assert [total(each) for each in (newcomer, channel)] == [6, 6]
    assert len(sidecars(user_directory)) == 1
    assert tcp.read(place).token != old.token
    assert stranger.told == []
    stranger.listener.close()


@pytest.mark.parametrize("answer", [b"", bytes(2 * tcp.SIZE), b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_a_stranger_behind_the_address_learns_neither_token_nor_greeting(
    example_workspace, user_directory, answer
):
    """As if the sidecar held its lock in a container, whose ports are others."""
    place = place_of(str(example_workspace))
    lock = seat.take(place)
    listener, token = tcp.listen(place)
    stranger = Stranger(0, answer)
    Path(place.address).write_text(f"{stranger.port} {token.hex()}\n")
    assert seat.ask(place, seat.greeting("status", place)) is None
    until(lambda: stranger.told)
    [told] = stranger.told
    assert told.startswith(tcp.CALL)
    assert len(told) == len(tcp.CALL) + tcp.SIZE
    assert token not in told
    for each in (listener, stranger.listener):
        each.close()
    os.close(lock)


def test_half_open_connections_keep_nobody_out(place):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = HALF_OPEN + 200
    if hard < wanted:
        pytest.skip("this test may not open so many connections")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    try:
        idle = [called(place) for _ in range(HALF_OPEN)]
        link = seat.find(place, seat.greeting("mcp", place))
        assert link is not None
        assert len(said_by(place)["clients"]) == 2
        link.close()
        for each in idle:
            each.close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def pairs() -> Iterator[Callable[[], tuple[socket.socket, socket.socket]]]:
    """Makes connected sockets."""
    made: list[socket.socket] = []

    def make() -> tuple[socket.socket, socket.socket]:
        pair = socket.socketpair()
        made.extend(pair)
        return pair

    yield make
    for each in made:
        each.close()


def test_of_too_many_callers_the_one_that_waits_longest_goes(pairs):
    callers = Callers(most_rounds=20)
    first, *others = [pairs() for _ in range(MOST_CALLERS + 1)]
    for _, theirs in (first, *others):
        callers.come(theirs)
    assert first[0].recv(1) == b""
    for ours, _ in others:
        ours.setblocking(False)
        with pytest.raises(BlockingIOError):
            ours.recv(1)


def test_a_caller_may_be_silent_for_a_time_and_one_that_has_greeted_for_ever(pairs):
    callers = Callers(most_rounds=2)
    silent, greeted = pairs(), pairs()
    for _, theirs in (silent, greeted):
        callers.come(theirs)
    callers.heard(greeted[1])
    for ours, _ in (silent, greeted):
        ours.setblocking(False)
    for _ in range(2):
        callers.wait()
        with pytest.raises(BlockingIOError):
            silent[0].recv(1)
    callers.wait()
    assert silent[0].recv(1) == b""
    with pytest.raises(BlockingIOError):
        greeted[0].recv(1)


@pytest.mark.parametrize("owner", [12_345, None], ids=["owner", "mode"])
def test_an_address_that_others_could_have_written_or_read_is_refused(
    place, monkeypatch, start, owner
):
    if owner and os.geteuid() != 0:
        pytest.skip("only root may give a file away")
    monkeypatch.setenv("SIDECAR_HOME", str(Path(place.root).with_name("home")))
    before = Path(place.address).stat()
    try:
        if owner:
            os.chown(place.address, owner, owner)
        else:
            Path(place.address).chmod(0o644)
        with pytest.raises(Unavailable, match="written by somebody else"):
            seat.ask(place, seat.greeting("status", place))
        refused = sidecar("status", root=Path(place.root))
        assert (refused.returncode, refused.stderr) == (
            2,
            "sidecar status: The sidecar's address was written by somebody else. [E_UNAVAILABLE]\n",
        )
        newcomer = start(Path(place.root))
        newcomer.initialize()
        assert total(newcomer) == 6
        until(lambda: b"serving alone" in newcomer.errors)
    finally:
        os.chown(place.address, before.st_uid, before.st_gid)
        Path(place.address).chmod(0o600)


def test_a_link_is_no_address(place, tmp_path):
    linked = Place(place.root, str(tmp_path))
    Path(linked.address).symlink_to(place.address)
    assert tcp.read(place) is not None
    assert tcp.read(linked) is None


@pytest.mark.parametrize("first", ["tcp", ""])
def test_channels_share_the_sidecar_however_each_would_have_it_listen(
    start, example_workspace, user_directory, monkeypatch, first
):
    monkeypatch.setenv(seat.TRANSPORT, first)
    one = start(example_workspace)
    one.initialize()
    assert total(one) == 6
    monkeypatch.setenv(seat.TRANSPORT, "" if first else "tcp")
    other = start(example_workspace)
    other.initialize()
    assert total(other) == 6
    told = status(example_workspace)
    assert (told["transport"], len(told["clients"])) == (first or "unix", 2)
    crash(example_workspace)
    until(lambda: len(status(example_workspace)["clients"]) == 2)
    assert [total(each) for each in (one, other)] == [6, 6]
    assert len(sidecars(user_directory)) == 1


def test_a_folder_that_can_hold_no_socket_is_served_by_tcp(
    start, example_workspace, tmp_path, monkeypatch
):
    monkeypatch.delenv(seat.TRANSPORT)
    monkeypatch.setenv("SIDECAR_HOME", str(tmp_path / ("home" * 40)))
    monkeypatch.setenv("TMPDIR", str(tmp_path / ("temporary" * 20)))
    client = start(example_workspace)
    client.initialize()
    assert total(client) == 6
    assert status(example_workspace)["transport"] == "tcp"
    assert b"alone" not in client.errors
    client.close()
    until(lambda: not status(example_workspace)["running"])
