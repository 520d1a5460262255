"""A shop of a test's own, in other processes: its data folder, its database, its programs."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]

INHERITED = {"PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH"}
"""All that a shop knows of the environment it is started in: no setting of the tests' own."""

RUN_COLUMNS = ("id", "kind", "state", "worker", "attempts", "error_code", "image_id")


class Shop:
    """Programs that share one data folder. Each is started as its operator starts it."""

    def __init__(self, folder: Path, **settings: object) -> None:
        self.folder = folder
        self.env = {name: value for name, value in os.environ.items() if name in INHERITED}
        self.env |= {"DATA_DIR": str(folder), "DJANGO_SETTINGS_MODULE": "fashionsim.settings"}
        self.env |= {"DETECTOR": "whole_image", "EMBEDDER": "colour"}
        self.env |= {name: str(value) for name, value in settings.items()}

    def manage(self, *arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a command of `manage.py` to its end."""
        return self._run([sys.executable, "manage.py", *map(str, arguments)], **options)

    def python(self, code: str, *arguments: object) -> str:
        """Run code in a new process of the shop's, Django being set up; what it printed."""
        program = f"import sys, django; django.setup()\n{code}"
        done = self._run([sys.executable, "-c", program, *map(str, arguments)])
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, *arguments: object, **settings: object) -> subprocess.Popen[str]:
        """Start a command of `manage.py` that goes on until it is stopped, with these settings."""
        return self.start_program("manage.py", *arguments, **settings)

    def start_program(self, *arguments: object, **settings: object) -> subprocess.Popen[str]:
        """Start a Python program in the project's folder, by what stands behind `python`."""
        log = (self.folder / "log").open("a")
        return subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            cwd=REPOSITORY,
            env=self.env | {name: str(value) for name, value in settings.items()},
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def _run(self, command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        options = {"capture_output": True, "text": True, "timeout": 600} | options
        return subprocess.run(command, cwd=REPOSITORY, env=self.env, check=False, **options)

    @property
    def log(self) -> str:
        """What the started programs have printed."""
        path = self.folder / "log"
        return path.read_text() if path.exists() else ""

    def upload(self, *photos: bytes) -> None:
        """Upload photos in a process that ends at once, as a web server's request does."""
        folder = self.folder / "inbox"
        folder.mkdir(exist_ok=True)
        paths = [folder / f"{time.monotonic_ns()}-{number}" for number in range(len(photos))]
        for path, data in zip(paths, photos, strict=True):
            path.write_bytes(data)
        self.python(
            "from pathlib import Path\n"
            "from similarity import services\n"
            "for path in sys.argv[1:]:\n"
            "    services.start_upload(services.take_in(Path(path).read_bytes()))\n",
            *paths,
        )

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask the shop's database, past all of the product's own code."""
        with contextlib.closing(self._connect()) as connection:
            cursor = connection.cursor()
            cursor.execute(sql)
            rows = cursor.fetchall()
            connection.commit()
        return list(rows)

    def _connect(self) -> Any:
        if url := self.env.get("DATABASE_URL"):
            return connect_to_mariadb(url.rpartition("/")[2])
        return sqlite3.connect(self.folder / "fashionsim.sqlite3", timeout=30)

    def runs(self) -> list[dict[str, Any]]:
        """The runs' rows, oldest first."""
        columns = ", ".join(RUN_COLUMNS)
        rows = self.query(f"SELECT {columns} FROM similarity_run ORDER BY created_at")  # noqa: S608
        return [dict(zip(RUN_COLUMNS, row, strict=True)) for row in rows]

    def count(self, table: str) -> int:
        return int(self.query(f"SELECT COUNT(*) FROM {table}")[0][0])  # noqa: S608

    def processes(self) -> list[int]:
        """Every living process that works on this folder, by its environment."""
        mark = f"DATA_DIR={self.folder}".encode()
        return [
            int(entry.name)
            for entry in Path("/proc").iterdir()
            if entry.name.isdigit() and mark in _environment(entry) and not _is_zombie(entry)
        ]

    def kill_all(self) -> None:
        """End whatever a test has left running."""
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _environment(process: Path) -> list[bytes]:
    try:
        return (process / "environ").read_bytes().split(b"\0")
    except OSError:  # it has ended, or is another user's
        return []


def _is_zombie(process: Path) -> bool:
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def parent(pid: int) -> int:
    """The process that has started it; 0 if it has ended."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def command(pid: int) -> str:
    """What it was started with; empty if it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def connect_to_mariadb(database: str = "") -> Any:
    """A connection to the server that tests may use: no password, on this machine only."""
    import MySQLdb

    return MySQLdb.connect(host="127.0.0.1", port=3306, user="root", database=database)


def eventually(is_so: Callable[[], object], within: float = 180.0) -> float:
    """Wait until it is so, and give the seconds that it took; fail if it never is."""
    started = time.monotonic()
    while not is_so():
        if time.monotonic() - started > within:
            pytest.fail(f"It was not so within {within} s.")
        time.sleep(0.1)
    return time.monotonic() - started


@contextlib.contextmanager
def shop_in(folder: Path, **settings: object) -> Iterator[Shop]:
    """A shop without a database yet; its programs end with the test."""
    folder.mkdir(parents=True, exist_ok=True)
    shop = Shop(folder, **settings)
    try:
        yield shop
    finally:
        shop.kill_all()


@pytest.fixture(scope="session")
def migrated(tmp_path_factory) -> Path:
    """An SQLite file with all tables, made once."""
    with shop_in(tmp_path_factory.mktemp("migrated")) as shop:
        done = shop.manage("migrate", "--verbosity", 0)
        assert done.returncode == 0, done.stderr
        shop.query("PRAGMA wal_checkpoint(TRUNCATE)")
        return shop.folder / "fashionsim.sqlite3"


@pytest.fixture
def open_shop(migrated, tmp_path) -> Iterator[Callable[..., Shop]]:
    """Opens the test's scratch shop, with settings as the environment gives them."""
    with contextlib.ExitStack() as stack:

        def open_with(**settings: object) -> Shop:
            shop = stack.enter_context(shop_in(tmp_path / "shop", **settings))
            shutil.copy(migrated, shop.folder / "fashionsim.sqlite3")
            return shop

        yield open_with
