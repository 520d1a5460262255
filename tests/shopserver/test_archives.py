"""ZIP files that people send: what is taken of them, and what is refused."""

from __future__ import annotations

import io
import random
import stat
import struct
import tracemalloc
import zipfile

import pytest

from shop import archives
from shop.archives import Archive, BadArchive
from similarity.engine.errors import BadImage


def zipped(*files: tuple[str | zipfile.ZipInfo, bytes], method=zipfile.ZIP_STORED) -> io.BytesIO:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in files:
            archive.writestr(name, data)
    return out


def of_mode(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return info


def refusal(file: io.BytesIO) -> str:
    with pytest.raises(BadArchive) as refused:
        Archive(file)
    return str(refused.value)


def test_files_are_listed_and_read_without_the_litter_of_systems():
    file = zipped(
        ("b/two.jpg", b"2"),
        ("a.jpg", b"1"),
        ("__MACOSX/._a.jpg", b"x"),
        ("b/.DS_Store", b"x"),
        ("empty/", b""),
    )
    with Archive(file) as archive:
        assert list(archive) == ["a.jpg", "b/two.jpg"]
        assert archive.read("b/two.jpg") == b"2"


def test_a_file_is_found_by_its_path_or_by_a_name_that_only_one_has():
    with Archive(zipped(("a/one.jpg", b""), ("a/x.jpg", b""), ("b/x.jpg", b""))) as archive:
        assert archive.find("a/one.jpg") == archive.find("one.jpg") == "a/one.jpg"
        assert archive.find("x.jpg") is None
        assert archive.find("../one.jpg") is None


@pytest.mark.parametrize(
    "name", ["../up.jpg", "a/../../up.jpg", "/etc/passwd", "..\\up.jpg", "C:\\up.jpg", "C:up.jpg"]
)
def test_what_leads_out_is_refused(name):
    info = zipfile.ZipInfo("x")
    info.filename = info.orig_filename = name
    assert "leads out of the archive" in refusal(zipped((info, b"x")))


@pytest.mark.parametrize("mode", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_devices_are_refused(mode):
    assert "is a link, or no plain file" in refusal(zipped((of_mode("a.jpg", mode | 0o777), b"b")))


def test_plain_files_of_any_system_are_taken():
    with Archive(zipped((of_mode("a.jpg", stat.S_IFREG | 0o644), b"b"))) as archive:
        assert archive.read("a.jpg") == b"b"


def test_an_encrypted_one_is_refused():
    data = bytearray(zipped(("a.jpg", b"x")).getvalue())
    data[6] |= 1
    place = data.index(b"PK\1\2")
    data[place + 8] |= 1
    assert "is encrypted" in refusal(io.BytesIO(bytes(data)))


@pytest.mark.parametrize("name", ["inner.zip", "photos.TAR", "a.tgz"])
def test_an_archive_in_an_archive_is_refused(name):
    assert "is an archive itself" in refusal(zipped((name, b"x")))


def test_what_would_grow_too_much_is_refused():
    bomb = zipped(("a.jpg", bytes(5 * 2**20)), method=zipfile.ZIP_DEFLATED)
    assert "grow more than a hundredfold" in refusal(bomb)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_packing_that_cannot_be_unpacked_in_parts_is_refused(method):
    assert "packed in an unusual way" in refusal(zipped(("a.jpg", b"x"), method=method))


def unpacked(archive: Archive, path: str) -> tuple[object, int]:
    """What reading a file gives or raises, and how many bytes it takes at most."""
    tracemalloc.start()
    try:
        outcome: object = archive.read(path)
    except (BadArchive, BadImage) as error:
        outcome = error
    finally:
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    return outcome, most


def test_a_picture_that_is_too_large_is_not_unpacked(settings):
    settings.MAX_UPLOAD_BYTES = 2**20
    noise = random.Random(1).randbytes(2**19)
    file = zipped(("a.jpg", 8 * noise), ("b.jpg", noise), method=zipfile.ZIP_DEFLATED)
    with Archive(file) as archive:
        refused, most = unpacked(archive, "a.jpg")
        assert isinstance(refused, BadImage)
        assert "at most 1,048,576 are taken" in str(refused)
        assert most < 2**18
        assert archive.read("b.jpg") == noise


def test_a_file_that_says_less_than_it_holds_is_not_unpacked_as_a_whole():
    file = zipped(("a.jpg", bytes(2**24)), method=zipfile.ZIP_DEFLATED)
    data = bytearray(file.getvalue())
    place = data.index(b"PK\1\2")
    data[place + 24 : place + 28] = struct.pack("<L", 10)
    with Archive(io.BytesIO(bytes(data))) as archive:
        refused, most = unpacked(archive, "a.jpg")
    assert isinstance(refused, BadArchive)
    assert most < 2**20


def test_so_are_too_many_files_and_too_many_bytes(monkeypatch):
    monkeypatch.setattr(archives, "MOST_FILES", 2)
    assert "more than 2 files" in refusal(zipped(*[(f"{n}.jpg", b"") for n in range(3)]))
    assert "more than 2 files" in refusal(zipped(*[(f"{n}.jpg", b"") for n in range(50)]))
    monkeypatch.setattr(archives, "MOST_BYTES", 2**20)
    assert "larger than" in refusal(zipped(("a.jpg", bytes(2**20)), ("b.jpg", b"1")))


def test_two_files_of_one_name_are_refused():
    with pytest.warns(UserWarning, match="Duplicate name"):
        file = zipped(("a.jpg", b"1"), ("a.jpg", b"2"))
    assert "two files of one name" in refusal(file)


@pytest.mark.parametrize("data", [b"", b"PK", b"no archive", b"PK\5\6" + bytes(5)])
def test_what_is_no_zip_is_refused(data):
    assert "no ZIP file" in refusal(io.BytesIO(data))


def test_a_file_that_is_larger_than_it_says_gives_no_more_than_it_says():
    data = bytearray(zipped(("a.jpg", bytes(1000)), method=zipfile.ZIP_DEFLATED).getvalue())
    place = data.index(b"PK\1\2")
    data[place + 24 : place + 28] = struct.pack("<L", 10)
    with Archive(io.BytesIO(bytes(data))) as archive, pytest.raises(BadArchive):
        archive.read("a.jpg")
