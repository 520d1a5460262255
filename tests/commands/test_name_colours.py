"""`manage.py name_colours`."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from catalog.models import Segment, SegmentColour
from tests.pictures import photo
from tests.shop import add_photo, add_product

pytestmark = pytest.mark.django_db


@pytest.fixture
def old() -> list[Segment]:
    """Two garments as they were described before colours were."""
    garments = [add_product("RED", "red"), add_photo(photo("blue"))]
    SegmentColour.objects.all().delete()
    return garments


def colours() -> set[tuple[int, str]]:
    return set(SegmentColour.objects.values_list("segment", "colour"))


def test_what_is_missing_is_filled_in_and_the_rest_is_left_alone(old, capsys):
    new = add_product("GREEN", "green")
    new.colours.update(colour="pink")
    call_command("name_colours")
    assert capsys.readouterr().out == "Colours of 2 garments named.\n"
    assert colours() == {(old[0].pk, "red"), (old[1].pk, "blue"), (new.pk, "pink")}
    call_command("name_colours")
    assert capsys.readouterr().out == "Colours of 0 garments named.\n"


def test_each_garment_has_the_colours_of_its_own_box(old):
    image = old[0].image
    lower = Segment.objects.create(
        identifier="lower", image=image, number=1, x0=0, y0=80, x1=120, y1=160, score=1
    )
    call_command("name_colours")
    assert {(old[0].pk, "red"), (lower.pk, "red")} <= colours()


def test_a_picture_that_has_gone_keeps_no_other_waiting(old, capsys):
    Path(old[0].image.file.path).unlink()
    with pytest.raises(CommandError, match="1 images could not be read"):
        call_command("name_colours")
    assert colours() == {(old[1].pk, "blue")}
    assert str(old[0].image) in capsys.readouterr().err
