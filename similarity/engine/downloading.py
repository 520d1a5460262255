"""Fetch a published file: resumable, from whichever source has it, installed only when it is right.

What arrives goes into a file beside the target whose name holds the expected SHA-256. So a fetch
that was interrupted, even by a lost machine, goes on where it ended, from the same source or from
another; and no source has to be trusted.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO

from urllib3 import BaseHTTPResponse, PoolManager, Retry, Timeout
from urllib3.exceptions import HTTPError

from similarity.engine.errors import DownloadFailed
from similarity.engine.weights import sha256 as hash_of

Progress = Callable[[int, int | None], None]
"""Called with the bytes that are there and the bytes of the whole, None if nobody said."""

CHUNK = 256 * 1024
TIMEOUT = Timeout(connect=15, read=60)
REDIRECTS = 5

FRUITLESS = 3
"""Attempts in a row that may bring nothing before a source is given up."""

HEADROOM = 64 * 2**20
"""Bytes of disk that are left for everybody else."""

_HEADERS = {
    "User-Agent": "FashionSim",
    "Accept-Encoding": "identity",  # ranges count the bytes of the file itself
}


def download(
    urls: Sequence[str],
    into: Path,
    sha256: str,
    progress: Progress = lambda done, total: None,
    *,
    timeout: Timeout = TIMEOUT,
) -> None:
    """Put the file with that hash at `into`, from the first of `urls` that gives it.

    Raises DownloadFailed, with what each source did, and leaves nothing at `into`. What had
    arrived stays for the next time, unless it is wrong.
    """
    into.parent.mkdir(parents=True, exist_ok=True)
    part = into.with_name(f"{into.name}.{sha256[:16]}.part")
    complaints = []
    with _held(part) as file, PoolManager(timeout=timeout) as pool:
        for url in urls:
            try:
                _fetch(pool, url, file, progress)
                _check(part, sha256, url)
            except DownloadFailed as error:
                complaints.append(str(error))
            else:
                os.fsync(file.fileno())
                part.replace(into)
                return
        if not part.stat().st_size:
            part.unlink()
    raise DownloadFailed(" ".join(complaints) or f"Nobody is known to have {into.name}.")


@contextmanager
def _held(part: Path) -> Iterator[BinaryIO]:
    """The file for what arrives, to append to; no other process can hold it meanwhile."""
    with part.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DownloadFailed(f"Another process is fetching {part.name}.") from error
        if not part.exists() or not os.path.samestat(part.stat(), os.fstat(file.fileno())):
            # Installed between our opening it and holding it: it is no longer ours to write to.
            raise DownloadFailed(f"Another process has just fetched {part.name}.")
        yield file


def _check(part: Path, sha256: str, url: str) -> None:
    found = hash_of(part)
    if found != sha256:
        os.truncate(part, 0)
        raise DownloadFailed(f"{url} gave a file whose SHA-256 is {found} and not {sha256}.")


def _fetch(pool: PoolManager, url: str, file: BinaryIO, progress: Progress) -> None:
    """Append what is missing, going on whenever the connection breaks off."""
    if not url.startswith(("https://", "http://")):
        raise DownloadFailed(f"{url} is no http address.")
    fruitless = 0
    while True:
        before = file.tell()
        try:
            _receive(pool, url, file, progress)
        except HTTPError as error:
            file.flush()
            fruitless = 0 if file.tell() > before else fruitless + 1
            if fruitless == FRUITLESS:
                raise DownloadFailed(f"{url} broke off: {error}") from error
        except OSError as error:
            raise DownloadFailed(f"{file.name} cannot be written: {error}") from error
        else:
            return


def _receive(pool: PoolManager, url: str, file: BinaryIO, progress: Progress) -> None:
    """One request for what is missing. Raises HTTPError if its answer ends early."""
    done = file.seek(0, os.SEEK_END)
    headers = _HEADERS | ({"Range": f"bytes={done}-"} if done else {})
    retries = Retry(REDIRECTS, connect=0, read=0, other=0, status=0)
    response = pool.request("GET", url, headers=headers, preload_content=False, retries=retries)
    try:
        if response.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and done:
            if _whole(response) == done:
                return  # it was all there: only its hash had not been looked at
            file.truncate(0)
            _receive(pool, url, file, progress)
            return
        done = _begin(url, response, file, done)
        total = None if response.length_remaining is None else done + response.length_remaining
        _check_room(file, response.length_remaining or 0)
        progress(done, total)
        for chunk in response.stream(CHUNK, decode_content=False):
            file.write(chunk)
            done += len(chunk)
            progress(done, total)
        file.flush()
    finally:
        with suppress(HTTPError):
            response.close()


def _begin(url: str, response: BaseHTTPResponse, file: BinaryIO, done: int) -> int:
    """How many bytes of the file are there when the answer's body begins."""
    if response.status == HTTPStatus.PARTIAL_CONTENT:
        if _start(response) == done:
            return done
        raise DownloadFailed(f"{url} gave another part of the file than it was asked for.")
    if response.status != HTTPStatus.OK:
        raise DownloadFailed(f"{url} answers with status {response.status}.")
    file.truncate(0)  # the whole file: this server knows no ranges
    return 0


def _start(response: BaseHTTPResponse) -> int | None:
    found = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return int(found[1]) if found else None


def _whole(response: BaseHTTPResponse) -> int | None:
    found = re.match(r"bytes \*/(\d+)$", response.headers.get("Content-Range", ""))
    return int(found[1]) if found else None


def _check_room(file: BinaryIO, more: int) -> None:
    free = shutil.disk_usage(Path(file.name).parent).free
    if more + HEADROOM > free:
        raise DownloadFailed(
            f"{more / 1e6:,.0f} MB are still to come, and {Path(file.name).parent} has room for "
            f"{max(0, free - HEADROOM) / 1e6:,.0f} MB."
        )
