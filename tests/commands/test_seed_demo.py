"""`manage.py seed_demo`: a catalogue that draws itself."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command

from catalog.models import OriginalImage, Product
from similarity.models import Embedding

pytestmark = pytest.mark.django_db


def seed(capsys, **options) -> str:
    call_command("seed_demo", **options)
    return capsys.readouterr().out


def hashes() -> set[str]:
    return set(OriginalImage.objects.values_list("sha256", flat=True))


def test_products_have_facts_and_several_pictures_that_are_found(capsys):
    assert "2 products; 6 pictures added" in seed(capsys, items=2)
    for product in Product.objects.all():
        assert product.images.filter(status=OriginalImage.Status.READY).count() == 3
        assert product.name
        assert product.brand
        assert product.category
        assert product.price > 0
    assert Embedding.objects.values("segment__image").distinct().count() == 6


def test_what_is_there_is_not_drawn_again_and_more_is_added(capsys):
    seed(capsys, items=1)
    before = hashes()
    assert "1 products; 0 pictures added" in seed(capsys, items=1)
    assert "2 products; 3 pictures added" in seed(capsys, items=2)
    assert before < hashes()


def test_a_picture_that_is_gone_is_drawn_again_the_very_same(capsys):
    seed(capsys, items=1)
    before = hashes()
    OriginalImage.objects.first().delete()
    assert "1 pictures added" in seed(capsys, items=1)
    assert hashes() == before


def test_five_products_wear_a_look_together(capsys):
    seed(capsys, items=5)
    assert OriginalImage.objects.filter(source_name__startswith="look-").count() == 1


def test_another_seed_draws_another_shop(capsys):
    seed(capsys, items=1)
    before = hashes()
    seed(capsys, items=1, seed=2)
    assert len(hashes() - before) == 3


def test_a_shop_of_nothing_is_refused():
    with pytest.raises(CommandError, match="at least 1"):
        call_command("seed_demo", items=0)
