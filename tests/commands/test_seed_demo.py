"""`manage.py seed_demo`: a catalogue that draws itself."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command

from catalog import word_index
from catalog.models import OriginalImage, Product
from similarity.engine import Box
from similarity.engine.synthetic import outfit, product
from similarity.models import Embedding

pytestmark = pytest.mark.django_db


def seed(capsys, **options) -> str:
    call_command("seed_demo", **options)
    return capsys.readouterr().out


def hashes() -> set[str]:
    return set(OriginalImage.objects.values_list("sha256", flat=True))


def test_products_have_facts_and_several_pictures_that_are_found(capsys):
    assert "2 products; 6 pictures added" in seed(capsys, items=2)
    for row in Product.objects.all():
        assert row.images.filter(status=OriginalImage.Status.READY).count() == 3
        assert row.name
        assert row.brand
        assert row.category
        assert row.price > 0
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


@pytest.mark.ml
@pytest.mark.slow
def test_a_look_is_found_by_its_first_garment_alone(capsys, settings):
    settings.DETECTOR = "compact"
    seed(capsys, items=5)
    look = OriginalImage.objects.get(source_name__startswith="look-")
    [first, *_] = outfit(1, 0).placed
    assert look.product.reference == product(1, first.number).facts.reference
    assert look.segments.count() > 1
    assert Box(*look.main_segment.box).iou(first.box) > 0.7
    words = set(look.product.words.values_list("word", flat=True))
    word_index.refresh([look.product_id])
    assert set(look.product.words.values_list("word", flat=True)) == words


def test_a_look_whose_garments_were_not_told_apart_has_no_main_one(capsys):
    seed(capsys, items=5)
    assert not OriginalImage.objects.exclude(main_segment=None).exists()


def test_what_somebody_has_chosen_since_stays(capsys):
    seed(capsys, items=5)
    look = OriginalImage.objects.get(source_name__startswith="look-")
    look.main_segment = look.segments.get()
    look.save()
    seed(capsys, items=5)
    look.refresh_from_db()
    assert look.main_segment is not None


def test_another_seed_draws_another_shop(capsys):
    seed(capsys, items=1)
    before = hashes()
    seed(capsys, items=1, seed=2)
    assert len(hashes() - before) == 3


def test_a_shop_of_nothing_is_refused():
    with pytest.raises(CommandError, match="at least 1"):
        call_command("seed_demo", items=0)
