"""`manage.py find_duplicates`."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from catalog.models import Lookalike, OriginalImage, PerceptualHash
from tests.pictures import drawing, encoded, poor_jpeg
from tests.shop import add_photo

pytestmark = pytest.mark.django_db


@pytest.fixture
def old() -> list[OriginalImage]:
    """Three pictures as they were described before doubles were looked for; two show the same."""
    shown = (encoded(drawing()), poor_jpeg(drawing()), encoded(drawing("trousers", "blue")))
    images = [add_photo(data).image for data in shown]
    Lookalike.objects.all().delete()
    PerceptualHash.objects.all().delete()
    return images


def test_what_was_not_looked_at_is_and_a_second_time_nothing_is_left(old, capsys):
    call_command("find_duplicates")
    said = "3 pictures looked at, 1 pairs found that look alike.\n"
    assert capsys.readouterr().out == said
    pair = Lookalike.objects.get()
    assert (pair.earlier, pair.later) == (old[0], old[1])
    call_command("find_duplicates")
    assert capsys.readouterr().out == "0 pictures looked at, 0 pairs found that look alike.\n"


def test_an_image_that_was_looked_at_when_it_came_in_has_the_same_hash(old):
    new = add_photo(encoded(drawing(size=(120, 160)))).image
    before = new.perceptual_hash.bits
    PerceptualHash.objects.all().delete()
    call_command("find_duplicates")
    assert PerceptualHash.objects.get(image=new).bits == before


def test_a_picture_that_has_gone_keeps_no_other_waiting(old, capsys):
    Path(old[2].file.path).unlink()
    with pytest.raises(CommandError, match="1 images could not be read"):
        call_command("find_duplicates")
    assert str(old[2]) in capsys.readouterr().err
    assert Lookalike.objects.count() == 1
