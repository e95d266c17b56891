"""Locks between threads and between processes."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.workspace.locking import FairLock, Locks

HOLDER = """
import sys, time
from pathlib import Path
from sidecar.workspace.locking import Locks
with Locks(lambda: Path(sys.argv[1])).hold("file"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_waiting_threads_are_served_in_the_order_they_came():
    lock, order, threads = FairLock(), [], []
    assert lock.acquire(1)

    def work(number: int) -> None:
        assert lock.acquire(10)
        order.append(number)
        lock.release()

    for number in range(8):
        thread = threading.Thread(target=work, args=(number,))
        thread.start()
        threads.append(thread)
        while len(lock._waiting) <= number:
            time.sleep(0.001)
    lock.release()
    for thread in threads:
        thread.join()

    assert order == list(range(8))


def test_a_wait_that_is_given_up_leaves_the_queue():
    lock = FairLock()
    assert lock.acquire(1)
    answers = []
    thread = threading.Thread(target=lambda: answers.append(lock.acquire(0.01)))
    thread.start()
    thread.join()
    lock.release()

    assert answers == [False]
    assert lock.acquire(0)


def test_taking_a_lock_twice_in_one_thread_is_an_error_not_a_deadlock(tmp_path: Path):
    locks = Locks(lambda: tmp_path)

    with locks.hold("a"), pytest.raises(RuntimeError), locks.hold("a"):
        pass

    with locks.hold("a"):
        pass


def test_another_process_holds_it_until_it_is_killed(tmp_path: Path):
    locks = Locks(lambda: tmp_path)
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"

        with pytest.raises(SidecarError) as refused, locks.hold("file", timeout=0.1):
            pass
        holder.kill()
        with locks.hold("file", timeout=10):
            pass

    assert refused.value.code is ErrorCode.BUSY
    assert len(list(tmp_path.glob("*.lock"))) == 1
