"""Child processes that are started, watched and stopped together with whatever they started."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from types import FrameType

import django

PR_SET_PDEATHSIG = 1
"""prctl(2): the signal that this process gets when its parent dies. Linux only."""

_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


class Child:
    """A command in a process group of its own, so that none of its children outlives it.

    On Linux it is asked to end when this process dies, even by SIGKILL.
    """

    def __init__(self, command: Sequence[str], env: Mapping[str, str] | None = None) -> None:
        self.command = list(command)
        self.env = {**os.environ, **(env or {})}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(  # noqa: S603  (this program's own command, no user's)
            self.command,
            env=self.env,
            start_new_session=True,
            preexec_fn=_end_with_parent,  # noqa: PLW1509  (no other thread starts a child)
        )

    @property
    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def stop(self, grace: float) -> None:
        """Ask it to end; after `grace` seconds, end its whole group."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(grace)
        except subprocess.TimeoutExpired:
            pass
        finally:
            self._kill_group()
            self._process.wait()
            self._process = None

    def _kill_group(self) -> None:
        assert self._process is not None
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return  # all of them have ended by themselves


def _end_with_parent() -> None:
    if _libc is not None:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def set_up_django(threads: int) -> None:
    """Make a new process of a pool ready for the models, with so many threads to compute in.

    It ends with its parent, which alone answers Ctrl-C: a process that dies while it waits for
    work would leave the others waiting for ever.
    """
    _end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))  # read when torch is imported
    django.setup()


class Stopped:
    """Turns true at the first SIGTERM or SIGINT; lets a loop wait for that."""

    def __init__(self) -> None:
        self._event = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._event.set()

    def wait(self, seconds: float) -> bool:
        """Wait so long at most; True if it is time to stop."""
        return self._event.wait(seconds)
