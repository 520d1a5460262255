"""Pictures that look alike: what is flagged, what is not, and what is remembered."""

from __future__ import annotations

import random
import threading

import pytest
from django.db import DatabaseError

from catalog.lookalikes import CannotDecide, keep_both, merge
from catalog.models import Lookalike, MergedPicture, OriginalImage, PerceptualHash, Segment
from similarity import lookalikes, pipeline, services
from similarity.engine.perceptual import RADIUS, distance, is_double, perceptual_hash
from similarity.models import Run
from tests.pictures import drawing, encoded, poor_jpeg
from tests.shop import add_photo, add_product

Decision = Lookalike.Decision


RE_ENCODED = {
    "poor JPEG": lambda: poor_jpeg(drawing()),
    "half the size": lambda: encoded(drawing(size=(120, 160))),
    "another format": lambda: encoded(drawing(), "WEBP"),
    "slightly cropped": lambda: encoded(drawing().crop((3, 4, 237, 316))),
}


@pytest.fixture
def dress(db) -> OriginalImage:
    return add_photo(encoded(drawing())).image


def pair() -> Lookalike:
    return Lookalike.objects.get()


@pytest.fixture
def later(dress) -> OriginalImage:
    return add_photo(poor_jpeg(drawing())).image


# --- What is flagged -------------------------------------------------------------------------


@pytest.mark.parametrize("way", RE_ENCODED)
def test_the_same_picture_in_other_bytes_is_flagged(dress, way):
    image = add_photo(RE_ENCODED[way]()).image
    assert (pair().earlier, pair().later, pair().decision) == (dress, image, Decision.OPEN)
    assert pair().distance <= RADIUS
    assert is_double(pair().distance, pair().similarity)
    assert image.possible_duplicate_of == dress
    assert dress.possible_duplicate_of is None


@pytest.mark.parametrize(("kind", "colour"), [("trousers", "red"), ("dress", "blue")])
def test_another_picture_is_not_flagged(dress, kind, colour):
    """Of another shape, or of the same in another colour: its luminance is near, its vector far."""
    add_photo(encoded(drawing(kind, colour)))
    assert not Lookalike.objects.exists()


def test_two_colours_of_one_cut_have_near_hashes(db):
    """So the test above would fail without the vectors' word."""
    one, other = (perceptual_hash(drawing("dress", colour)) for colour in ("red", "blue"))
    assert distance(one, other) <= RADIUS


def test_doubles_within_one_batch_are_flagged(db):
    pictures = [services.take_in(encoded(drawing())), services.take_in(poor_jpeg(drawing()))]
    uploads = [services.start_upload(picture, queued=False) for picture in pictures]
    pipeline.describe_all(pipeline.claim([upload.run.pk for upload in uploads]))
    assert {pair().earlier_id, pair().later_id} == {upload.image.pk for upload in uploads}


def test_doubles_that_are_added_at_once_are_flagged(beside):
    start = threading.Barrier(2)

    def add(data: bytes) -> None:
        start.wait(120)
        add_photo(data)

    for answer in [beside(add, data) for data in (encoded(drawing()), poor_jpeg(drawing()))]:
        answer.result(120)
    assert pair().decision == Decision.OPEN


def test_each_picture_is_asked_about_with_its_likeliest_double_alone(dress, later):
    third = add_photo(encoded(drawing(size=(180, 240)))).image
    assert Lookalike.objects.count() == 2
    assert Lookalike.objects.filter(later=third).count() == 1


def test_an_upload_is_unharmed_when_looking_for_doubles_fails(dress, monkeypatch, caplog):
    def broken(*_):
        raise DatabaseError("A bug.")

    monkeypatch.setattr(lookalikes, "nearest", broken)
    segment = add_photo(poor_jpeg(drawing()))
    assert Run.objects.get(image=segment.image).state == Run.State.DONE
    assert segment.embeddings.exists()
    assert not Lookalike.objects.exists()
    assert "could not be looked for" in caplog.text


def test_near_hashes_are_all_found_and_no_others(db):
    """Compared with a scan of all of them."""
    rng = random.Random(0)
    base = rng.getrandbits(64)
    images = OriginalImage.objects.bulk_create(
        OriginalImage(identifier=f"i{n}", sha256=f"{n:064}", width=1, height=1, size=1)
        for n in range(300)
    )
    images = list(OriginalImage.objects.order_by("pk"))
    values = {}
    for image in images:
        flips = rng.sample(range(64), rng.randint(0, 30))
        values[image.pk] = base ^ sum(1 << bit for bit in flips)
    PerceptualHash.objects.bulk_create(lookalikes._row(pk, value) for pk, value in values.items())
    scanned = sorted((distance(base, value), pk) for pk, value in values.items())
    near = [(pk, bits) for bits, pk in scanned if bits <= RADIUS]
    assert len(near) > lookalikes.CLOSEST
    assert lookalikes.nearest(base) == near[: lookalikes.CLOSEST]
    left_out = [pk for pk, _ in near[:-3]]
    assert lookalikes.nearest(base, left_out) == near[-3:]


# --- What is decided -------------------------------------------------------------------------


@pytest.mark.parametrize("decision", [Decision.SAME, Decision.DIFFERENT])
def test_a_decision_is_remembered_when_a_picture_is_described_again(dress, later, decision):
    keep_both(pair(), decision, None)
    for image in (dress, later):
        pipeline.execute(services.describe_again(image).pk)
    assert pair().decision == decision
    later.refresh_from_db()
    assert later.possible_duplicate_of is None


def test_a_pair_is_decided_once(dress, later, merchandiser):
    keep_both(pair(), Decision.DIFFERENT, merchandiser.user)
    assert pair().decided_by == merchandiser.user
    for decide in (
        lambda: keep_both(pair(), Decision.SAME, None),
        lambda: merge(pair(), dress, None),
    ):
        with pytest.raises(CannotDecide, match="decided about these two already"):
            decide()
    assert OriginalImage.objects.count() == 2
    assert pair().decision == Decision.DIFFERENT


def test_merged_pictures_are_one_and_the_other_s_bytes_lead_to_it(dress, later):
    garment = dress.segments.get()
    assert merge(pair(), dress, None) == dress
    assert OriginalImage.objects.get() == dress
    assert Segment.objects.get() == garment
    assert not Lookalike.objects.exists()
    again = services.start_upload(services.take_in(poor_jpeg(drawing())), queued=False)
    assert (again.image, again.is_new) == (dress, False)
    assert OriginalImage.objects.count() == 1


def test_the_later_picture_can_be_kept_and_takes_the_product(db):
    product = add_product("D-1", "green").image.product
    earlier = add_photo(encoded(drawing()), product).image
    later = add_photo(poor_jpeg(drawing())).image
    merge(pair(), later, None)
    later.refresh_from_db()
    assert later.product == product
    assert not OriginalImage.objects.filter(pk=earlier.pk).exists()
    assert services.start_upload(services.take_in(encoded(drawing()))).image == later


def test_what_was_merged_before_follows_the_picture_that_is_kept(dress, later):
    merge(pair(), later, None)
    third = add_photo(encoded(drawing(size=(120, 160)))).image
    merge(pair(), third, None)
    assert MergedPicture.objects.filter(image=third).count() == 2
    assert services.start_upload(services.take_in(encoded(drawing()))).image == third


def test_pictures_of_two_products_are_not_merged(db):
    products = [add_product(f"D-{n}", "green", seed=n).image.product for n in range(2)]
    for data, product in zip((encoded(drawing()), poor_jpeg(drawing())), products, strict=True):
        add_photo(data, product)
    with pytest.raises(CannotDecide, match="two products"):
        merge(pair(), pair().earlier, None)
    assert pair().decision == Decision.OPEN
    assert OriginalImage.objects.count() == 4


def test_two_who_merge_at_once_leave_one_picture(beside):
    for data in (encoded(drawing()), poor_jpeg(drawing())):
        add_photo(data)
    both = pair()
    start = threading.Barrier(2)

    def decide(keep):
        start.wait(120)
        try:
            return merge(both, keep, None)
        except CannotDecide:
            return None

    kept = [work.result(120) for work in [beside(decide, k) for k in (both.earlier, both.later)]]
    assert kept.count(None) == 1
    assert OriginalImage.objects.count() == 1
