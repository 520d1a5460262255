"""The pages of imports: what a shop's server has put, and how its pictures are."""

from __future__ import annotations

import pytest
from django.urls import reverse

from shop import admin
from shop.models import Import, ImportedPicture
from similarity.models import Run


@pytest.fixture
def batch(db) -> Import:
    """Five pictures, the last of which has failed."""
    batch = Import.objects.create(kind=Import.Kind.BATCH)
    states = [Run.State.DONE] * 4 + [Run.State.FAILED]
    for number, state in enumerate(states):
        run = Run.objects.create(kind=Run.Kind.UPLOAD, state=state)
        ImportedPicture.objects.create(of=batch, reference=f"D-{number}", run=run)
    return batch


def page_of(client, batch):
    return client.get(reverse("admin:shop_import_change", args=[batch.pk]))


def shown(response) -> list[str]:
    [inline] = response.context["inline_admin_formsets"]
    return [form.original.reference for form in inline]


def test_all_pictures_of_an_import_are_listed_failed_ones_first(administrator, batch):
    response = page_of(administrator, batch)
    assert shown(response) == ["D-4", "D-0", "D-1", "D-2", "D-3"]
    assert "4 of 5 done, 1 failed" in response.text
    assert "the first" not in response.text


def test_of_many_pictures_some_are_listed_and_how_many_there_are(administrator, batch, monkeypatch):
    monkeypatch.setattr(admin, "SHOWN_PICTURES", 2)
    response = page_of(administrator, batch)
    assert shown(response) == ["D-4", "D-0"]
    assert "the first 2 of 5, failed ones before others" in response.text
