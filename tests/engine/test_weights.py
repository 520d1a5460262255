from __future__ import annotations

import hashlib
import os
import threading
import time
from pathlib import Path

import pytest

from similarity.engine.weights import (
    Lazy,
    digest,
    find,
    not_installed,
    sha256,
    torch_hub_checkpoints,
)


@pytest.fixture
def folders(tmp_path) -> tuple[Path, Path]:
    models, cache = tmp_path / "models", tmp_path / "cache"
    models.mkdir()
    cache.mkdir()
    return models, cache


def test_a_file_is_found_in_the_models_folder_before_the_cache(folders):
    models, cache = folders
    (models / "a.pth").touch()
    (cache / "a.pth").touch()
    assert find(models, ["a.pth"], also=[cache]) == models / "a.pth"


def test_an_earlier_name_wins_wherever_it_lies(folders):
    models, cache = folders
    (models / "b.pth").touch()
    (cache / "a.pth").touch()
    assert find(models, ["a.pth", "b.pth"], also=[cache]) == cache / "a.pth"


def test_a_file_that_lies_nowhere_is_not_found(folders):
    models, cache = folders
    (models / "a.pth").mkdir()
    assert find(models, ["a.pth"], also=[cache]) is None


def test_an_absolute_name_stands_for_itself(folders):
    models, cache = folders
    (cache / "a.pth").touch()
    assert find(models, [str(cache / "a.pth")]) == cache / "a.pth"


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"TORCH_HOME": "/t"}, "/t/hub/checkpoints"),
        ({"XDG_CACHE_HOME": "/c"}, "/c/torch/hub/checkpoints"),
        ({"HOME": "/h"}, "/h/.cache/torch/hub/checkpoints"),
    ],
)
def test_torch_hub_is_looked_for_where_torch_keeps_it(monkeypatch, environment, expected):
    for name in ("TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert torch_hub_checkpoints() == Path(expected)


def test_sha256_is_the_one_of_the_bytes_and_follows_a_change(tmp_path):
    file = tmp_path / "weights"
    for moment, content in enumerate((b"one", b"two")):
        file.write_bytes(content)
        os.utime(file, ns=(0, moment))
        assert sha256(file) == hashlib.sha256(content).hexdigest()


def test_sha256_reads_an_unchanged_file_once(tmp_path, monkeypatch):
    file = tmp_path / "weights"
    file.write_bytes(b"many bytes")
    first = sha256(file)
    monkeypatch.setattr(Path, "open", lambda *_: pytest.fail("read again"))
    assert sha256(file) == first


def test_a_digest_knows_where_one_part_ends():
    assert digest("ab", "c") != digest("a", "bc")
    assert digest("a", 1) == digest("a", 1)


def test_a_package_that_is_not_there_is_named():
    assert not_installed("json") == []
    assert "no_such_package" in not_installed("json", "no_such_package")[0]


def test_a_lazy_value_is_made_once_by_many_threads():
    makings = []

    def make() -> int:
        time.sleep(0.02)
        makings.append(1)
        return 7

    lazy, results = Lazy(make), []
    threads = [threading.Thread(target=lambda: results.append(lazy.get())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [7] * 8
    assert len(makings) == 1


def test_a_lazy_value_that_could_not_be_made_is_tried_again():
    answers = iter([OSError("not yet"), None])

    def make() -> str:
        if error := next(answers):
            raise error
        return "there"

    lazy = Lazy(make)
    with pytest.raises(OSError, match="not yet"):
        lazy.get()
    assert lazy.get() == "there"
