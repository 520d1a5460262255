"""What the tests of runs share: an empty queue, and threads with connections of their own."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from django.db import connections
from django_q.brokers import get_broker

from tests.pipeline.backends import GatedDetector


@pytest.fixture
def empty_queue(db):
    get_broker().purge_queue()
    yield
    get_broker().purge_queue()


@pytest.fixture
def beside(transactional_db):
    """Runs functions beside the test, each in a thread and on a connection of its own."""
    pool = ThreadPoolExecutor(8)

    def start(function: Callable[..., object], *arguments: object) -> Future:
        return pool.submit(_on_own_connection, function, *arguments)

    yield start
    GatedDetector.may_go_on.set()  # a test that failed half-way leaves nobody waiting
    pool.shutdown()


def _on_own_connection(function: Callable[..., object], *arguments: object) -> object:
    try:
        return function(*arguments)
    finally:
        connections.close_all()


@pytest.fixture
def gate(settings):
    """The configured detector waits at its gate until the test opens it."""
    GatedDetector.has_begun.clear()
    GatedDetector.may_go_on.clear()
    settings.DETECTOR = "tests.pipeline.backends:GatedDetector"
    return GatedDetector
