"""ZIP files that people send. Nothing in one is believed, and nothing of it is written to a disk.

Python's `zipfile` gives no more of a file than its entry says, and checks its sum; so what entries
say is judged, before any of them is read. It may unpack more meanwhile than it gives, unless it is
asked for so many bytes, and the packing is one that it can unpack in parts.
"""

from __future__ import annotations

import stat
import struct
import zipfile
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import IO, Self

from similarity import intake
from similarity.errors import Refused

MOST_FILES = 10_000
MOST_BYTES = 4 * 2**30
"""Of all files together, once they are unpacked."""
MOST_RATIO = 100
"""To which a file may have been squeezed; photos hardly can be at all."""
SMALL = 2**20
"""A file of no more bytes may be squeezed as it likes."""
LONGEST_NAME = 300

ARCHIVES = {".zip", ".rar", ".7z", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".jar"}
LITTER = {"__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini"}
"""What systems leave in archives that people make."""

PACKINGS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
"""The others are unpacked as a whole, however much comes out."""

ENCRYPTED = 0x1
END = struct.Struct("<4s4H2LH")
"""The record at an archive's end: of all its numbers the directory's size is the sixth."""


class BadArchive(Refused):
    """A ZIP file that is not taken, with a sentence that says why."""

    status = 400
    code = "bad_archive"


class Archive:
    """The files of a ZIP, by their paths in it. Raises BadArchive when it is opened."""

    def __init__(self, file: IO[bytes]) -> None:
        _refuse_long_directory(file)
        try:
            self._zip = zipfile.ZipFile(file)
        except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as error:
            raise BadArchive("This is no ZIP file, or a damaged one.") from error
        self._files = {info.filename: info for info in self._zip.infolist() if _counts(info)}
        try:
            self._judge()
        except BadArchive:
            self._zip.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._files))

    def __len__(self) -> int:
        return len(self._files)

    def find(self, name: str) -> str | None:
        """The path of that file: as it is named, or the only one in any folder with that name."""
        if name in self._files:
            return name
        found = [path for path in self._files if PurePosixPath(path).name == name]
        return found[0] if len(found) == 1 else None

    def read(self, path: str) -> bytes:
        """A picture's bytes. Raises BadImage if it is too large, BadArchive if it is damaged."""
        info = self._files[path]
        intake.refuse_size(info.file_size)
        try:
            with self._zip.open(info) as file:
                return file.read(info.file_size + 1)
        except (zipfile.BadZipFile, NotImplementedError, EOFError, OSError, ValueError) as error:
            raise BadArchive(f"{path} is damaged in the ZIP file.") from error
        except Exception as error:  # zlib's and lzma's own errors have no class in common
            raise BadArchive(f"{path} cannot be unpacked.") from error

    def _judge(self) -> None:
        infos = [info for info in self._zip.infolist() if _counts(info)]
        if len(infos) > MOST_FILES:
            raise BadArchive(f"It holds more than {MOST_FILES:,} files. Send several.")
        if len(self._files) < len(infos):
            raise BadArchive("It holds two files of one name.")
        if sum(info.file_size for info in infos) > MOST_BYTES:
            raise BadArchive(f"Unpacked it is larger than {MOST_BYTES // 2**30} GB. Send several.")
        for info in infos:
            if problem := _problem(info):
                raise BadArchive(f"{info.filename[:LONGEST_NAME]!r} {problem}")


def _counts(info: zipfile.ZipInfo) -> bool:
    """Whether an entry is a file that somebody has put there."""
    return not info.is_dir() and not LITTER & {*PurePosixPath(info.filename).parts}


def _problem(info: zipfile.ZipInfo) -> str:
    """What is wrong with an entry; empty if nothing is."""
    path, mode = PurePosixPath(info.filename), info.external_attr >> 16
    strange = any(sign in info.orig_filename for sign in "\\:\0")
    wrong = {
        "has too long a name.": len(info.filename) > LONGEST_NAME,
        "leads out of the archive.": path.is_absolute() or ".." in path.parts or strange,
        "is a link, or no plain file.": stat.S_IFMT(mode) not in {0, stat.S_IFREG},
        "is encrypted. Send it without a password.": info.flag_bits & ENCRYPTED,
        "is packed in an unusual way. Use Deflate, as most programs do.": info.compress_type
        not in PACKINGS,
        "is an archive itself. Unpack it first.": path.suffix.lower() in ARCHIVES,
        "would grow more than a hundredfold when it is unpacked.": info.file_size > SMALL
        and info.file_size > MOST_RATIO * max(1, info.compress_size),
    }
    return next((problem for problem, is_so in wrong.items() if is_so), "")


def _refuse_long_directory(file: IO[bytes]) -> None:
    """Raises BadArchive for a directory of millions: reading it would take all memory."""
    size = file.seek(0, 2)
    file.seek(max(0, size - END.size - 2**16))
    end = file.read()
    file.seek(0)
    place = end.rfind(b"PK\5\6")
    if place < 0 or len(end) - place < END.size:
        raise BadArchive("This is no ZIP file, or a damaged one.")
    if END.unpack_from(end, place)[5] > MOST_FILES * (2 * LONGEST_NAME):
        raise BadArchive(f"It holds more than {MOST_FILES:,} files. Send several.")
