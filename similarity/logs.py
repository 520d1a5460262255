"""The run that is being worked on, in every line that is logged meanwhile."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_current: ContextVar[str] = ContextVar("run", default="-")


@contextmanager
def logged_as(run: object) -> Iterator[None]:
    """Name the run, by the start of its id, in what is logged inside."""
    token = _current.set(str(run)[:8])
    try:
        yield
    finally:
        _current.reset(token)


class RunFilter(logging.Filter):
    """Gives each log record the attribute `run`."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.run = _current.get()
        return True
