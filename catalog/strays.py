"""Files that no row has: what a process leaves that is killed between a row and its file.

A file is written before the row that names it is committed, and deleted once it is committed that
the row has gone, so that no row is ever without its file. Most strays are copies that nobody
misses; a photo that a shopper searched with is to be gone when it is said to be.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import PurePosixPath

from django.apps import apps
from django.core.files.storage import default_storage
from django.db.models import FileField
from django.utils import timezone

from catalog.pictures import DERIVED

AGE = dt.timedelta(days=1)
"""Younger files may be of a row that is about to be committed."""


def strays() -> Iterator[str]:
    """The names of the stored files that are no row's, nor made of one that is.

    All names are held in memory meanwhile: some hundred bytes a picture.
    """
    due = timezone.now() - AGE
    for folder, fields in _fields().items():
        known = {name for field in fields for name in _named(field)}
        made_of = {str(PurePosixPath(name).with_suffix("")) for name in known}
        stored = (name for name in _files(folder) if name not in known)
        derived = (name for name in _files(f"{DERIVED}/{folder}") if _origin(name) not in made_of)
        for name in (*stored, *derived):
            if _is_older(name, due):
                yield name


def _fields() -> dict[str, list[FileField]]:
    """The fields that name files, by the folder that those lie in."""
    found: dict[str, list[FileField]] = {}
    for model in apps.get_models():
        for field in model._meta.concrete_fields:
            if isinstance(field, FileField):
                folder = PurePosixPath(field.generate_filename(model(), "any")).parts[0]
                found.setdefault(folder, []).append(field)
    return found


def _named(field: FileField) -> Iterator[str]:
    rows = field.model._meta.base_manager.exclude(**{field.name: ""})
    yield from rows.order_by().values_list(field.name, flat=True).iterator()


def _files(folder: str) -> Iterator[str]:
    """The names of all files in a folder and in those below."""
    try:
        folders, names = default_storage.listdir(folder)
    except FileNotFoundError:
        return
    for name in names:
        yield f"{folder}/{name}"
    for name in folders:
        yield from _files(f"{folder}/{name}")


def _origin(derived: str) -> str:
    """The picture, without its ending, that a file was made of."""
    return str(PurePosixPath(derived).parent.relative_to(DERIVED))


def _is_older(name: str, due: dt.datetime) -> bool:
    """Whether a file is from before that time; no, if it has gone meanwhile."""
    try:
        return default_storage.get_modified_time(name) < due
    except FileNotFoundError:
        return False
