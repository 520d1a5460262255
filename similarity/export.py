"""All that is kept about a person, to take away."""

from __future__ import annotations

import json
import tempfile
import zipfile
from collections.abc import Iterator
from typing import IO, Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Prefetch

from accounts.models import User
from accounts.serializers import AccountSerializer, PreferencesSerializer
from accounts.services import preferences_of
from catalog.models import OriginalImage
from similarity.models import Hit, Run
from similarity.signals import exported

IN_MEMORY = 2**20
"""Bytes of a ZIP file that are held in memory; a larger one is written to the disk meanwhile."""

AT_A_TIME = 200
"""Searches read from the database at a time."""


def export(person: User) -> IO[bytes]:
    """A ZIP file: what is kept of the person and their searches (JSON), and the searches' photos.

    Whoever gets it closes it.
    """
    file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115  (the caller closes it)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        _write(archive, "account.json", AccountSerializer(person).data)
        _write(archive, "settings.json", PreferencesSerializer(preferences_of(person)).data)
        _write(archive, "searches.json", list(_searches(person)))
        _write(archive, "uploads.json", list(_uploads(person)))
        _write(archive, "enquiries.json", list(_enquiries(person)))
        _write(archive, "saved_views.json", list(_saved_views(person)))
        answers: list[Any] = exported.send(sender=User, person=person)
        for _, (name, rows) in answers:
            _write(archive, name, rows)
        for query in person.queries.all():
            try:
                with query.file.open() as photo:
                    archive.writestr(_photo_name(query.pk), photo.read(), zipfile.ZIP_STORED)
            except FileNotFoundError:  # it has expired this very moment
                continue
    file.seek(0)
    return file


def _write(archive: zipfile.ZipFile, name: str, data: Any) -> None:
    archive.writestr(name, json.dumps(data, cls=DjangoJSONEncoder, indent=2, ensure_ascii=False))


def _photo_name(pk: Any) -> str:
    return f"photos/{pk}.jpg"


def _searches(person: User) -> Iterator[dict[str, Any]]:
    hits = Hit.objects.order_by("rank").select_related("segment__image__product")
    runs = Run.objects.history(person).select_related("segment")
    for run in runs.prefetch_related(Prefetch("hits", hits)).iterator(AT_A_TIME):
        yield {
            "id": run.pk,
            "at": run.created_at,
            "state": run.state,
            "photo": run.query_id and _photo_name(run.query_id),
            "garment": run.segment and run.segment.identifier,
            **run.options,
            "results": [
                {
                    "garment": hit.segment.identifier,
                    "product": (product := hit.segment.image.product) and product.reference,
                    "similarity": hit.similarity,
                    "matched": hit.matched,
                }
                for hit in run.hits.all()
            ],
        }


def _uploads(person: User) -> Iterator[dict[str, Any]]:
    images = OriginalImage.objects.filter(owner=person).order_by("pk")
    for image in images.values("identifier", "source_name", "created_at"):
        yield dict(image)


def _enquiries(person: User) -> Iterator[dict[str, Any]]:
    rows = person.enquiries.order_by("pk").values("email", "text", "created_at", "answered_at")
    for enquiry in rows:
        yield dict(enquiry)


def _saved_views(person: User) -> Iterator[dict[str, Any]]:
    for view in person.saved_views.order_by("page", "name").values("page", "name", "query"):
        yield dict(view)
