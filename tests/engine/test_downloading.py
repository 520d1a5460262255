"""Weights fetched from a server on loopback: every byte goes over a socket."""

from __future__ import annotations

import hashlib
import random
import resource
import signal
import subprocess
import sys
import threading
import time

import pytest

from similarity.engine.downloading import download
from similarity.engine.errors import DownloadFailed
from tests.scratch import REPOSITORY, eventually
from tests.weights_server import serving

DATA = random.Random(0).randbytes(300_000)
SHA256 = hashlib.sha256(DATA).hexdigest()

FETCH = """
import sys
from pathlib import Path
from similarity.engine.downloading import download
download([sys.argv[1]], Path(sys.argv[2]), sys.argv[3])
"""


@pytest.fixture
def server():
    with serving() as server:
        server.files["/model.bin"] = DATA
        yield server


@pytest.fixture
def target(tmp_path):
    return tmp_path / "models" / "model.bin"


def part_of(target):
    return target.with_name(f"model.bin.{SHA256[:16]}.part")


def start_with(target, data):
    """As if an earlier fetch had got so far."""
    target.parent.mkdir()
    part_of(target).write_bytes(data)


def fetch(server, target, **options):
    download([f"{server.url}/model.bin"], target, SHA256, **options)


def left(target):
    return sorted(path.name for path in target.parent.iterdir())


def test_a_file_arrives_whole_with_its_progress_told(server, target):
    told = []
    fetch(server, target, progress=lambda done, total: told.append((done, total)))
    assert target.read_bytes() == DATA
    assert left(target) == ["model.bin"]
    assert told[0] == (0, len(DATA))
    assert told[-1] == (len(DATA), len(DATA))
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_a_connection_that_breaks_off_is_taken_up_where_it_ended(server, target):
    server.breaks_off_after = [100_000, 50_000]
    fetch(server, target)
    assert target.read_bytes() == DATA
    assert [asked for _, asked in server.asked] == [None, "bytes=100000-", "bytes=150000-"]


def test_a_fetch_that_was_killed_goes_on_where_it_ended(server, target):
    server.holds_after = 280_000
    program = [sys.executable, "-c", FETCH, f"{server.url}/model.bin", str(target), SHA256]
    process = subprocess.Popen(program, cwd=REPOSITORY)
    part = part_of(target)
    eventually(lambda: part.exists() and part.stat().st_size > 0)
    process.send_signal(signal.SIGKILL)
    process.wait()
    there = part.stat().st_size
    assert 0 < there < len(DATA)
    assert not target.exists()
    server.holds_after = None
    fetch(server, target)
    assert target.read_bytes() == DATA
    assert server.asked[-1] == ("/model.bin", f"bytes={there}-")


def test_a_server_that_always_breaks_off_is_given_up_and_what_came_is_kept(server, target):
    server.breaks_off_after = [1000, *[0] * 9]
    with pytest.raises(DownloadFailed, match="broke off"):
        fetch(server, target)
    assert not target.exists()
    assert part_of(target).read_bytes() == DATA[:1000]
    assert len(server.asked) == 4


def test_a_server_without_ranges_begins_again(server, target):
    start_with(target, DATA[:1000])
    server.knows_ranges = False
    fetch(server, target)
    assert target.read_bytes() == DATA


def test_what_had_all_arrived_is_only_looked_at(server, target):
    start_with(target, DATA)
    fetch(server, target)
    assert target.read_bytes() == DATA
    assert server.asked == [("/model.bin", f"bytes={len(DATA)}-")]


def test_more_than_there_should_be_is_thrown_away(server, target):
    start_with(target, DATA + b"more")
    fetch(server, target)
    assert target.read_bytes() == DATA


def test_what_was_damaged_on_this_disk_is_not_installed_and_fetched_anew_next_time(server, target):
    start_with(target, b"x" * 1000)
    with pytest.raises(DownloadFailed, match=SHA256):
        fetch(server, target)
    assert left(target) == []
    fetch(server, target)
    assert target.read_bytes() == DATA


def test_another_file_than_expected_is_not_installed(server, target):
    server.files["/model.bin"] = DATA[:-1] + b"?"
    with pytest.raises(DownloadFailed, match=SHA256):
        fetch(server, target)
    assert left(target) == []


def test_a_file_that_is_truncated_on_the_server_is_not_installed(server, target):
    server.files["/model.bin"] = DATA[:-1]
    with pytest.raises(DownloadFailed, match=SHA256):
        fetch(server, target)
    assert left(target) == []


def test_a_file_that_nobody_has_is_said_so(server, target):
    with pytest.raises(DownloadFailed, match="status 404"):
        download([f"{server.url}/nothing"], target, SHA256)
    assert left(target) == []


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/model.bin", "ftp://127.0.0.1/m", "nowhere"])
def test_an_address_that_leads_nowhere_is_said_so(target, url):
    with pytest.raises(DownloadFailed, match=url):
        download([url], target, SHA256)
    assert left(target) == []


def test_no_byte_is_written_where_there_is_no_room(server, target):
    server.announces = 10**18  # an exabyte
    with pytest.raises(DownloadFailed, match="has room for"):
        fetch(server, target)
    assert left(target) == []


def test_a_disk_that_fills_up_meanwhile_is_said_so_and_what_came_is_kept(server, target):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(DownloadFailed, match="cannot be written"):
            fetch(server, target)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not target.exists()
    assert part_of(target).read_bytes() == DATA[:100_000]


def test_the_next_source_goes_on_where_the_one_before_failed(server, target):
    with serving() as mirror:
        mirror.files["/model.bin"] = DATA
        mirror.breaks_off_after = [1000, *[0] * 9]
        download([f"{mirror.url}/model.bin", f"{server.url}/model.bin"], target, SHA256)
    assert target.read_bytes() == DATA
    assert server.asked == [("/model.bin", "bytes=1000-")]


def test_a_source_with_another_file_does_not_spoil_the_next(server, target):
    with serving() as mirror:
        mirror.files["/model.bin"] = b"another file"
        download([f"{mirror.url}/model.bin", f"{server.url}/model.bin"], target, SHA256)
    assert target.read_bytes() == DATA


def test_a_redirect_is_followed(server, target):
    with serving() as front:
        front.elsewhere["/model.bin"] = f"{server.url}/model.bin"
        download([f"{front.url}/model.bin"], target, SHA256)
    assert target.read_bytes() == DATA


def test_two_fetches_of_one_file_do_not_meet(server, target):
    server.holds_after = 280_000
    first = threading.Thread(target=fetch, args=[server, target])
    first.start()
    eventually(lambda: part_of(target).exists() and part_of(target).stat().st_size > 0)
    with pytest.raises(DownloadFailed, match="Another process"):
        fetch(server, target)
    server.goes_on.set()
    first.join()
    assert target.read_bytes() == DATA


def test_a_server_that_says_nothing_is_given_up(target):
    from urllib3 import Timeout

    with serving() as server:
        server.files["/model.bin"] = DATA
        server.announces = len(DATA)
        server.holds_after = 1
        started = time.monotonic()
        with pytest.raises(DownloadFailed, match="broke off"):
            fetch(server, target, timeout=Timeout(connect=1, read=0.2))
        assert time.monotonic() - started < 20
