"""Builds on disk: written whole or not at all, refused when damaged, followed by every process."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from similarity.engine.builds import BuildStore, Manifest, ServingBuild
from similarity.engine.errors import BrokenBuild, BuildInProgress, UnknownBackend
from tests.engine.test_annoy_index import BUSHES, clustered
from tests.engine.test_indexes import brute_force, random_units

REPOSITORY = Path(__file__).parents[2]
DIM = 6


@pytest.fixture
def store(tmp_path) -> BuildStore:
    return BuildStore(tmp_path / "colour")


@pytest.fixture(params=["exact", "annoy"])
def engine(request) -> str:
    if request.param == "annoy":
        pytest.importorskip("annoy")
    return request.param


def batches(count=60, seed=0, size=25):
    """Vectors whose keys are `seed`, `seed + 2`, ..."""
    vectors = random_units(count, DIM, seed)
    for start in range(0, count, size):
        rows = vectors[start : start + size]
        yield np.arange(start, start + len(rows)) * 2 + seed, rows


def write(store, engine="exact", stream=None, **about) -> str:
    options = BUSHES if engine == "annoy" else {}
    with store.lock():
        stream = batches() if stream is None else stream
        return store.write(engine, options, dim=DIM, batches=stream, about=about).name


def activated(store, engine="exact", **about) -> str:
    name = write(store, engine, **about)
    store.activate(name)
    return name


def leftovers(store) -> list[str]:
    return [path.name for path in store.root.iterdir() if path.name.endswith(".partial")]


def edit_manifest(store, name, changes) -> None:
    path = store.root / name / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def run_python(code: str, *arguments, **options) -> subprocess.Popen:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    options = {"stdout": subprocess.PIPE, "text": True} | options
    return subprocess.Popen(command, cwd=REPOSITORY, **options)


# Writing


def test_a_build_answers_as_brute_force_does(store):
    build = store.open(write(store, "exact"))
    vectors = random_units(60, DIM)
    assert build.search(vectors[:1], 5) == [brute_force(range(0, 120, 2), vectors, vectors[0], 5)]
    assert build.keys.tolist() == list(range(0, 120, 2))


def test_a_manifest_says_what_was_built(store, engine):
    name = write(store, engine, embedder="colour", last=7)
    manifest = store.open(name).manifest
    files = {"keys.npy", "vectors.npy"} | ({"trees.ann"} if engine == "annoy" else set())
    assert (manifest.engine, manifest.dim, manifest.count) == (engine, DIM, 60)
    assert manifest.checksums.keys() == files
    assert manifest.bytes == sum((store.root / name / file).stat().st_size for file in files)
    assert manifest.about == {"embedder": "colour", "last": 7}
    assert manifest.metric == "cosine"
    assert Manifest.from_json(manifest.to_json()) == manifest


def test_progress_counts_the_vectors_that_came(store):
    heard = []
    with store.lock():
        store.write("exact", {}, dim=DIM, batches=batches(60), about={}, on_progress=heard.append)
    assert heard == [25, 50, 60]


def test_a_build_of_nothing_is_a_build(store, engine):
    build = store.open(write(store, engine, stream=[]))
    assert build.search(random_units(1, DIM), 3) == [[]]


def test_writing_needs_the_lock(store):
    with pytest.raises(RuntimeError, match="lock"):
        store.write("exact", {}, dim=DIM, batches=batches(), about={})


def test_an_engine_that_is_not_in_use_is_not_written(store):
    with pytest.raises(UnknownBackend):
        write(store, "os:system")


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError])
def test_a_stream_that_breaks_leaves_nothing_behind(store, error):
    def breaking():
        yield from batches(50)
        raise error

    with pytest.raises(error):
        write(store, stream=breaking())
    assert [path.name for path in store.root.iterdir()] == [".lock"]


BAD_BATCHES = {
    "descending": (np.array([3, 2]), random_units(2, DIM)),
    "another dim": (np.array([8, 9]), random_units(2, DIM + 1)),
    "too few keys": (np.array([9]), random_units(2, DIM)),
    "float keys": (np.array([8.0, 9.0]), random_units(2, DIM)),
    "float64": (np.array([8, 9]), random_units(2, DIM).astype(np.float64)),
    "not unit": (np.array([8, 9]), 2 * random_units(2, DIM)),
}


@pytest.mark.parametrize("batch", BAD_BATCHES.values(), ids=BAD_BATCHES)
def test_a_batch_that_no_index_takes_is_refused(store, batch):
    with pytest.raises(ValueError, match=r"[kK]eys|unit vector"):
        write(store, stream=[(np.array([0]), random_units(1, DIM)), batch])
    assert leftovers(store) == []


def test_an_index_that_keeps_no_keys_file_gets_one(tmp_path):
    engine = f"{__name__}:KeylessIndex"
    store = BuildStore(tmp_path, engines=[engine])
    assert store.open(write(store, engine)).keys.tolist() == list(range(0, 120, 2))


def test_keys_ascend_over_all_batches_whatever_the_index(tmp_path):
    engine = f"{__name__}:KeylessIndex"
    again = [(np.array([0, 9]), random_units(2, DIM)), (np.array([9]), random_units(1, DIM))]
    with pytest.raises(ValueError, match="ascending"):
        write(BuildStore(tmp_path, engines=[engine]), engine, stream=again)


class KeylessIndex:
    """A shop's own index, which keeps its vectors elsewhere."""

    def build(self, keys, vectors, into):
        from similarity.engine import IndexInfo

        return IndexInfo(*vectors.shape, parameters={}, files=())

    def open(self, folder, info):
        """Nothing to open."""


# Choosing


def test_nothing_is_current_until_a_build_is_activated(store):
    assert store.current() is None
    name = write(store)
    assert store.current() is None
    store.activate(name)
    assert store.current() == name


def test_builds_are_listed_newest_first_without_the_unreadable(store):
    names = [write(store) for _ in range(3)]
    (store.root / names[1] / "manifest.json").write_text("{")
    (store.root / "notes").mkdir()
    assert [manifest.name for manifest in store.builds()] == [names[2], names[0]]


@pytest.mark.parametrize("name", ["nothing", "", "..", "../colour", "/etc"])
def test_what_is_not_a_build_is_not_activated(store, name):
    good = activated(store)
    with pytest.raises(BrokenBuild, match="no build named"):
        store.activate(name)
    assert store.current() == good


def test_the_current_build_cannot_be_removed(store):
    old, new = activated(store), activated(store)
    with pytest.raises(ValueError, match="current"):
        store.remove(new)
    store.remove(old)
    assert [manifest.name for manifest in store.builds()] == [new]
    assert leftovers(store) == []


def test_pruning_keeps_the_newest_good_ones_and_the_current_one(store):
    current, *names = [write(store) for _ in range(6)]
    store.activate(current)
    flip_a_byte(store, names[-1], "vectors.npy")
    assert store.prune(keep=2) == [names[4], names[1], names[0]]
    assert [manifest.name for manifest in store.builds()] == [names[3], names[2], current]
    assert store.prune(keep=0) == [names[3], names[2]]


def test_an_open_build_outlives_its_removal(store, engine):
    old = store.open(write(store, engine))
    wanted = old.search(random_units(9, DIM), 1)
    store.remove(old.manifest.name)
    assert old.search(random_units(9, DIM), 1) == wanted


# Damage


def truncate(store, name, file):
    path = store.root / name / file
    os.truncate(path, path.stat().st_size // 2)


def empty(store, name, file):
    os.truncate(store.root / name / file, 0)


def extend(store, name, file):
    with (store.root / name / file).open("ab") as stream:
        stream.write(b"}")


def flip_a_byte(store, name, file):
    path = store.root / name / file
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x80
    path.write_bytes(content)


def delete(store, name, file):
    (store.root / name / file).unlink()


def take_from_another_build(store, name, file):
    other = write(store, "annoy", stream=batches(60, seed=1))
    (store.root / other / file).replace(store.root / name / file)
    shutil.rmtree(store.root / other)


def make_a_link(store, name, file):
    target = (store.root / name / file).rename(store.root / file)
    (store.root / name / file).symlink_to(target)


DAMAGES = [truncate, empty, extend, flip_a_byte, delete, take_from_another_build, make_a_link]
FILES = ["keys.npy", "vectors.npy", "trees.ann", "manifest.json"]


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_build_is_refused_and_the_last_good_one_serves(store, damage, file):
    pytest.importorskip("annoy")
    good, bad = write(store), activated(store, "annoy")
    damage(store, bad, file)
    with pytest.raises(BrokenBuild):
        store.open(bad)
    with pytest.raises(BrokenBuild):
        store.activate(bad)
    assert ServingBuild(store).get().manifest.name == good


CHANGES = {
    "another dim": {"dim": DIM - 1},
    "another count": {"count": 59},
    "huge count": {"count": 10**30},
    "huge dim": {"dim": 2**47},
    "no dim": {"dim": 0},
    "negative": {"bytes": -1},
    "true": {"count": True},
    "float": {"count": 60.0},
    "text": {"dim": "6"},
    "infinite": {"seconds": float("inf")},
    "not a number": {"seconds": float("nan")},
    "another metric": {"metric": "euclidean"},
    "no time": {"created": "yesterday"},
    "local time": {"created": "2026-01-01T00:00:00"},
    "another engine": {"engine": "os:system"},
    "a module's engine": {"engine": "subprocess:Popen", "options": {"args": "false"}},
    "odd options": {"options": {"colour": 1}},
    "options in a list": {"options": [1]},
    "parameters": {"parameters": {"trees": "20"}},
    "about": {"about": None},
    "an extra field": {"extra": 1},
    "no files": {"checksums": {}},
    "a path": {"checksums": {"../../etc/passwd": "0" * 64, "keys.npy": "0" * 64}},
    "an absolute path": {"checksums": {"/etc/passwd": "0" * 64, "keys.npy": "0" * 64}},
    "the folder above": {"checksums": {"..": "0" * 64, "keys.npy": "0" * 64}},
    "itself": {"checksums": {"manifest.json": "0" * 64, "keys.npy": "0" * 64}},
    "no digest": {"checksums": {"keys.npy": "abc"}},
    "another name": {"name": "20260101T000000.000000Z-00000000"},
    "a path as name": {"name": "../colour"},
}


@pytest.mark.parametrize("changes", CHANGES.values(), ids=CHANGES)
def test_a_manifest_that_lies_is_refused(store, changes):
    name = write(store)
    edit_manifest(store, name, changes)
    with pytest.raises(BrokenBuild):
        store.open(name)


@pytest.mark.parametrize(
    "text", ["", "null", "[]", "{}", "\x00", "[" * 100_000, "9" * 10_000, '{"name": 1}']
)
def test_a_manifest_that_is_none_is_refused(text):
    with pytest.raises(BrokenBuild):
        Manifest.from_json(text)


def test_keys_that_do_not_ascend_are_refused_even_with_the_right_checksum(store):
    name = write(store)
    keys = np.arange(60)[::-1]
    np.save(store.root / name / "keys.npy", keys)
    checksums = store.builds()[0].checksums
    digest = subprocess.check_output(["sha256sum", store.root / name / "keys.npy"], text=True)
    edit_manifest(store, name, {"checksums": checksums | {"keys.npy": digest.split()[0]}})
    with pytest.raises(BrokenBuild, match="ascending"):
        store.open(name)


# Serving


def test_nothing_is_served_from_an_empty_store(store):
    serving = ServingBuild(store)
    assert serving.get() is None
    assert serving.problem is None


def test_a_process_picks_up_a_new_build_by_itself(store):
    serving = ServingBuild(store)
    for _ in range(2):
        name = activated(store)
        assert serving.get().manifest.name == name
        assert serving.get() is serving.get()


def test_a_roll_back_is_followed(store):
    old, new = activated(store), activated(store)
    serving = ServingBuild(store)
    assert serving.get().manifest.name == new
    store.activate(old)
    assert serving.get().manifest.name == old


def test_a_broken_build_is_looked_at_and_logged_once(store, caplog, monkeypatch):
    good, serving = activated(store), ServingBuild(store)
    serving.get()
    bad = activated(store)
    flip_a_byte(store, bad, "vectors.npy")
    opened = []
    monkeypatch.setattr(store, "verify", lambda name: opened.append(name) or verify(name))
    verify = BuildStore(store.root).verify
    with caplog.at_level(logging.WARNING, "similarity.index"):
        assert {serving.get().manifest.name for _ in range(5)} == {good}
    assert opened == [bad]
    assert len(caplog.records) == 1
    assert serving.problem == f"Build {bad}: vectors.npy is damaged. Serving {good} instead."


def test_a_problem_ends_with_the_next_good_build(store):
    bad, serving = activated(store), ServingBuild(store)
    delete(store, bad, "vectors.npy")
    assert serving.get() is None
    assert "nothing" in serving.problem
    name = activated(store)
    assert serving.get().manifest.name == name
    assert serving.problem is None


@pytest.mark.parametrize("pointer", ["", "garbage", "../colour", "\x00\xff" * 500])
def test_a_garbled_pointer_falls_back_to_the_newest_good_build(store, pointer):
    good, bad = write(store), write(store)
    truncate(store, bad, "vectors.npy")
    (store.root / "CURRENT").write_text(pointer)
    assert ServingBuild(store).get().manifest.name == good


def test_other_threads_go_on_while_one_opens_the_new_build(store, monkeypatch):
    old, serving = activated(store), ServingBuild(store)
    serving.get()
    new = activated(store)
    opening, finish = threading.Event(), threading.Event()
    open_build = store.open

    def open_slowly(name):
        opening.set()
        assert finish.wait(180)
        return open_build(name)

    monkeypatch.setattr(store, "open", open_slowly)
    opener = threading.Thread(target=serving.get)
    opener.start()
    assert opening.wait(120)
    assert serving.get().manifest.name == old
    finish.set()
    opener.join()
    assert serving.get().manifest.name == new


# Several processes

BUILDER = """
import sys, time
from pathlib import Path
from similarity.engine.builds import BuildStore
from tests.engine.test_builds import DIM, batches

def endless():
    yield from batches()
    print("building", flush=True)
    time.sleep(60)

store = BuildStore(Path(sys.argv[1]))
with store.lock():
    store.write("exact", {}, dim=DIM, batches=endless(), about={})
"""

SEARCHER = """
import sys, time
from pathlib import Path
from similarity.engine.builds import BuildStore, ServingBuild
from tests.engine.test_builds import DIM, random_units

serving, query, seen = ServingBuild(BuildStore(Path(sys.argv[1]))), random_units(1, DIM), []
while sys.argv[2] not in seen[-1:]:
    build = serving.get()
    if build.manifest.about["round"] not in seen[-1:]:
        seen.append(build.manifest.about["round"])
        print(*seen, flush=True)
    [hits] = build.search(query, 7)
    assert len(hits) == 7 and serving.problem is None, (hits, serving.problem)
"""


@pytest.fixture
def builder(store):
    """Another process in the middle of a build."""
    process = run_python(BUILDER, store.root)
    assert process.stdout.readline() == "building\n"
    yield process
    process.kill()
    process.wait()


def test_a_second_builder_is_told_that_one_is_running(store, builder):
    with pytest.raises(BuildInProgress), store.lock():
        pytest.fail("two builders at once")


def test_a_killed_builder_leaves_the_old_build_serving_and_no_lock(store):
    good = activated(store)
    process = run_python(BUILDER, store.root)
    assert process.stdout.readline() == "building\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert len(leftovers(store)) == 1
    assert ServingBuild(store).get().manifest.name == good
    new = activated(store)
    assert leftovers(store) == []
    assert [manifest.name for manifest in store.builds()] == [new, good]


def test_other_processes_search_on_while_builds_are_switched_and_pruned(store):
    pytest.importorskip("annoy")
    activated(store, "annoy", round="0")
    searchers = [run_python(SEARCHER, store.root, "5", stderr=subprocess.PIPE) for _ in range(2)]
    for searcher in searchers:
        assert searcher.stdout.readline() == "0\n"
    for number in range(1, 6):
        activated(store, "annoy", round=str(number))
        store.prune(keep=1)
    for searcher in searchers:
        _, errors = searcher.communicate(timeout=300)
        assert searcher.returncode == 0, errors


MEASURED = """
import re, sys, time
from pathlib import Path
import numpy as np
from similarity.engine.builds import BuildStore

def stream(path):
    vectors = np.load(path, mmap_mode="r")
    for start in range(0, len(vectors), 5000):
        rows = np.array(vectors[start : start + 5000])
        yield np.arange(start, start + len(rows)), rows

store = BuildStore(Path(sys.argv[1]))
with store.lock():
    store.write("annoy", {}, dim=128, batches=stream(sys.argv[2]), about={})
peak = re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]
print(time.process_time(), int(peak) / 1024)
"""


@pytest.mark.slow
def test_a_hundred_thousand_vectors_are_built_in_seconds_and_little_memory(store, tmp_path):
    pytest.importorskip("annoy")
    np.save(tmp_path / "source.npy", clustered(100_000, 128, clusters=300))
    cpu_seconds = []
    while not cpu_seconds or (min(cpu_seconds) > 30 and len(cpu_seconds) < 3):
        process = run_python(MEASURED, store.root, tmp_path / "source.npy")
        seconds, megabytes = map(float, process.communicate(timeout=600)[0].split())
        assert megabytes < 500
        cpu_seconds.append(seconds)
    assert min(cpu_seconds) <= 30
