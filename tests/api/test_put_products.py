"""PUT /api/v1/products/{reference}/ with pictures, as a shop's server puts its products."""

import threading
from contextlib import suppress

import pytest
from django.contrib.auth.models import Permission

from catalog.models import OriginalImage, Product
from shop import services as shop
from similarity import backends, pipeline, services, tasks
from similarity.models import Embedding, Run
from tests.api import references, refused, stored_files, traces
from tests.conftest import client_of
from tests.pictures import as_base64, as_file, photo
from tests.shop import add_product, merge_into

URL = "/api/v1/products/D-1/"

RED, GREEN, BLUE = (photo(colour) for colour in ("red", "green", "blue"))


def put(client, **body):
    return client.put(URL, {"name": "Dress", **body})


def work():
    """What a worker does with all that waits."""
    for run in Run.objects.filter(state=Run.State.PENDING).order_by("created_at"):
        tasks.execute_run(str(run.pk))


def shown(client) -> list[tuple[int, str]]:
    """A product's pictures in their order: key and status."""
    return list(
        OriginalImage.objects.filter(product__reference="D-1")
        .order_by("position")
        .values_list("pk", "status")
    )


# --- The product ----------------------------------------------------------------------------


def test_an_unknown_product_is_added_and_a_known_one_replaced(catalogue_key):
    response = put(catalogue_key, brand="Ada", price="19.90", tags=["new"], category="Dresses")
    assert response.status_code == 201, response.content
    assert (response.json()["reference"], response.json()["runs"]) == ("D-1", [])
    response = put(catalogue_key, price="9.90")
    assert response.status_code == 200
    product = response.json()
    assert (product["price"], product["brand"], product["tags"]) == ("9.90", "", [])
    assert (product["category"], product["currency"]) == (None, "EUR")


def test_a_reference_in_the_body_must_be_the_address_s(merchandiser):
    assert put(merchandiser, reference="D-1").status_code == 201
    problem = refused(put(merchandiser, reference="D-2"), 400, "invalid")
    assert set(problem["errors"]) == {"reference"}


def test_who_may_change_products_but_not_add_any_adds_none(db, merchandiser):
    merchandiser.user.groups.clear()
    merchandiser.user.user_permissions.add(Permission.objects.get(codename="change_product"))
    user = type(merchandiser.user).objects.get(pk=merchandiser.user.pk)
    merchandiser.force_authenticate(user)
    refused(put(merchandiser), 403, "permission_denied")
    Product.objects.create(reference="D-1", name="x")
    assert put(merchandiser).status_code == 200
    refused(put(merchandiser, images=[]), 403, "permission_denied")


# --- Pictures that are sent along -----------------------------------------------------------


def test_pictures_are_sent_as_files_or_base64_and_described(catalogue_key):
    response = catalogue_key.put(
        URL, {"name": "Dress", "images": [as_file(RED), as_file(GREEN)]}, format="multipart"
    )
    assert response.status_code == 201, response.content
    assert [run["state"] for run in response.json()["runs"]] == ["pending"] * 2
    assert len(response.json()["images"]) == 2
    work()
    assert [status for _, status in shown(catalogue_key)] == ["ready"] * 2
    assert catalogue_key.get(response.json()["runs"][0]["link"]).json()["state"] == "done"


def test_pictures_stand_in_the_order_that_they_are_listed_in(merchandiser):
    put(merchandiser, images=[as_base64(data) for data in (RED, GREEN, BLUE)])
    before = [pk for pk, _ in shown(merchandiser)]
    response = put(merchandiser, images=[as_base64(data) for data in (BLUE, RED, GREEN)])
    assert [pk for pk, _ in shown(merchandiser)] == [before[2], before[0], before[1]]
    assert len(response.json()["images"]) == 3


def test_known_pictures_are_not_described_again_and_unlisted_ones_go(
    merchandiser, django_capture_on_commit_callbacks
):
    put(merchandiser, images=[as_base64(RED), as_base64(GREEN)])
    work()
    kept = Embedding.objects.get(segment__image__position=1).pk
    with django_capture_on_commit_callbacks(execute=True):
        response = put(merchandiser, images=[as_base64(GREEN), as_base64(GREEN)])
    assert (response.json()["runs"], response.json()["import_id"]) == ([], None)
    assert [embedding.pk for embedding in Embedding.objects.all()] == [kept]
    assert len(stored_files()) == 1
    put(merchandiser)
    assert len(shown(merchandiser)) == 1, "without a list, they stay"
    put(merchandiser, images=[])
    assert shown(merchandiser) == []


def test_a_picture_that_is_no_picture_changes_nothing(merchandiser):
    before = traces()
    problem = refused(
        put(merchandiser, images=[as_base64(RED), as_base64(b"no picture"), "%%%"]), 400, "invalid"
    )
    assert [int(error["index"]) for error in problem["errors"]["images"]] == [1, 2]
    assert {error["code"] for error in problem["errors"]["images"]} == {
        "not_an_image",
        "not_base64",
    }
    assert traces() == before


def test_a_picture_of_another_product_stays_that_product_s(merchandiser):
    add_product("D-2", "red")
    refused(put(merchandiser, images=[as_base64(photo("red"))]), 409, "image_of_other_product")
    assert Product.objects.get().reference == "D-2"


@pytest.mark.parametrize("is_known", [True, False])
def test_of_two_products_put_at_once_with_one_picture_one_has_it(
    merchandiser, beside, monkeypatch, is_known
):
    if is_known:
        services.start_upload(services.take_in(RED), queued=False)
    recognised = shop._recognised
    both_have_looked = threading.Barrier(2)

    def look_together(*given):
        listed = recognised(*given)
        with suppress(threading.BrokenBarrierError):  # where the database lets one in at a time
            both_have_looked.wait(3)
        return listed

    def put_as(name: str) -> int:
        body = {"name": "Dress", "images": [as_base64(RED)]}
        return client_of(merchandiser.user).put(f"/api/v1/products/{name}/", body).status_code

    monkeypatch.setattr(shop, "_recognised", look_together)
    answers = {name: beside(put_as, name) for name in ("D-1", "D-2")}
    statuses = {name: answer.result(30) for name, answer in answers.items()}
    assert sorted(statuses.values()) == [201, 409]
    product = OriginalImage.objects.get().product
    assert statuses[product.reference] == 201
    assert Product.objects.get() == product
    assert stored_files() == [OriginalImage.objects.get().file.name]


def test_bytes_that_were_merged_into_a_picture_of_nobody_s_give_that_picture(merchandiser):
    kept, other = (
        services.start_upload(services.take_in(data), queued=False).image for data in (RED, GREEN)
    )
    work()
    merge_into(kept, other)
    assert put(merchandiser, images=[as_base64(BLUE), as_base64(GREEN)]).status_code == 201
    assert shown(merchandiser)[1] == (kept.pk, "ready")


def test_bytes_that_were_merged_into_a_picture_of_its_own_are_that_picture(merchandiser):
    """Whoever sends them every night must not undo what was decided, nor lose what was drawn."""
    put(merchandiser, images=[as_base64(RED), as_base64(BLUE)])
    work()
    red, blue = OriginalImage.objects.order_by("position")
    garments = list(red.segments.values_list("pk", flat=True))
    merge_into(red, blue)
    for listed in ([RED, BLUE], [BLUE, RED], [BLUE]):
        response = put(merchandiser, images=[as_base64(data) for data in listed])
        assert (response.status_code, response.json()["runs"]) == (200, [])
        assert shown(merchandiser) == [(red.pk, "ready")]
        assert list(red.segments.values_list("pk", flat=True)) == garments


def test_bytes_that_were_merged_into_another_products_picture_stay_that_products(merchandiser):
    first = add_product("D-2", "red")
    second = add_product("D-3", "blue").image
    OriginalImage.objects.filter(pk=second.pk).update(product=None)
    second.refresh_from_db()
    merge_into(first.image, second)
    problem = refused(put(merchandiser, images=[as_base64(BLUE)]), 409, "image_of_other_product")
    assert "D-2" in problem["detail"]
    assert not Product.objects.filter(reference="D-1").exists()


def test_too_many_pictures_are_refused(merchandiser, settings):
    settings.MAX_UPLOAD_FILES = 2
    refused(put(merchandiser, images=[as_base64(RED)] * 3), 413, "too_many_files")


def test_details_that_do_not_fit_leave_pictures_alone(merchandiser):
    put(merchandiser, images=[as_base64(RED)])
    before = traces()
    refused(put(merchandiser, price="-1", images=[as_base64(GREEN)]), 400, "invalid")
    refused(put(merchandiser, url="javascript:1", images=[]), 400, "invalid")
    assert traces() == before


# --- Pictures by their address --------------------------------------------------------------


def test_pictures_are_fetched_by_the_worker(catalogue_key, open_web):
    urls = [open_web.show("/a.png", RED), open_web.show("/b.png", GREEN)]
    response = put(catalogue_key, images=urls)
    assert response.status_code == 201, response.content
    assert (len(response.json()["runs"]), response.json()["images"]) == (2, [])
    assert open_web.seen == [], "not in the request"
    work()
    assert [status for _, status in shown(catalogue_key)] == ["ready"] * 2
    images = OriginalImage.objects.order_by("position")
    assert [(image.source_url, image.source_name) for image in images] == [
        (urls[0], "a.png"),
        (urls[1], "b.png"),
    ]
    follow = catalogue_key.get(f"/api/v1/imports/{response.json()['import_id']}/").json()
    assert follow["pictures"] == {"total": 2, "done": 2, "failed": 0, "cancelled": 0}


def test_an_address_that_is_known_is_not_fetched_again(merchandiser, open_web):
    urls = [open_web.show("/a.png", RED), open_web.show("/b.png", GREEN)]
    put(merchandiser, images=urls)
    again = put(merchandiser, images=urls)
    assert len(again.json()["runs"]) == 2
    assert Run.objects.count() == 2, "while it is being fetched"
    work()
    assert put(merchandiser, images=urls[::-1]).json()["runs"] == []
    assert len(open_web.seen) == 2
    assert (
        list(OriginalImage.objects.order_by("position").values_list("source_url", flat=True))
        == (urls[::-1])
    )


def test_an_address_that_is_no_longer_listed_is_not_fetched(merchandiser, open_web):
    urls = [open_web.show("/a.png", RED), open_web.show("/b.png", GREEN)]
    put(merchandiser, images=urls)
    put(merchandiser, images=urls[:1])
    work()
    assert [seen.path for seen in open_web.seen] == ["/a.png"]
    assert len(shown(merchandiser)) == 1


def test_bytes_that_are_known_are_not_described_again_wherever_they_come_from(
    merchandiser, open_web
):
    segment = services.start_upload(services.take_in(RED), queued=False)
    work()
    embedding = Embedding.objects.get().pk
    put(merchandiser, images=[open_web.show("/a.png", RED)])
    work()
    assert [pk for pk, _ in shown(merchandiser)] == [segment.image.pk]
    assert Embedding.objects.get().pk == embedding


@pytest.mark.parametrize(
    ("page", "code"), [(b"no picture", "not_an_image"), (None, "fetch_failed")]
)
def test_an_address_without_a_picture_fails_alone(merchandiser, open_web, page, code):
    bad = f"{open_web.url}/bad" if page is None else open_web.show("/bad", page)
    response = put(merchandiser, images=[bad, open_web.show("/a.png", RED)])
    work()
    assert [status for _, status in shown(merchandiser)] == ["ready"]
    failure = merchandiser.get(f"/api/v1/imports/{response.json()['import_id']}/").json()
    assert [(item["url"], item["code"]) for item in failure["failures"]] == [(bad, code)]
    open_web.show("/bad", GREEN)
    retried = merchandiser.post(f"/api/v1/uploads/{failure['failures'][0]['run']}/retry/")
    assert retried.status_code == 202
    work()
    assert len(shown(merchandiser)) == 2


@pytest.mark.parametrize("ended", ["failed", "cancelled", "described"])
def test_a_picture_that_is_no_longer_listed_is_not_brought_back(
    merchandiser, open_web, settings, ended
):
    """Whether it could not be fetched, was not to be, or could not be described."""
    old, new = open_web.show("/old.png", b"no picture"), open_web.show("/new.png", RED)
    put(merchandiser, images=[old, new])
    if ended == "cancelled":
        services.cancel(Run.objects.get(options__url=old))
    if ended == "described":
        open_web.show("/old.png", GREEN)
        settings.DETECTOR = "tests.pipeline.backends:FailingDetector"
        backends.forget()
    work()
    settings.DETECTOR = "whole_image"
    backends.forget()
    open_web.show("/old.png", GREEN)
    put(merchandiser, images=[new])
    services.run_failed_again()
    retried = merchandiser.post(f"/api/v1/uploads/{Run.objects.get(options__url=old).pk}/retry/")
    refused(retried, 409, "not_repeatable")
    work()
    assert [image.source_url for image in OriginalImage.objects.all()] == [new]


def test_a_picture_that_is_run_again_while_it_is_taken_off_the_list_does_not_come_back(
    merchandiser, open_web, monkeypatch
):
    url = open_web.show("/old.png", b"no picture")
    put(merchandiser, images=[url])
    work()
    open_web.show("/old.png", GREEN)
    [run] = Run.objects.all()
    services.run_again(run)
    claimed = pipeline.claim([run.pk])
    Run.objects.filter(pk=run.pk).update(product=None)  # a PUT that has not seen it under way
    pipeline.describe_all(claimed)
    run.refresh_from_db()
    assert (run.state, run.error_code) == ("failed", "refused")
    assert not OriginalImage.objects.exists()


def test_an_address_whose_picture_is_another_product_s_fails(merchandiser, open_web):
    add_product("D-2", "red")
    put(merchandiser, images=[open_web.show("/a.png", photo("red"))])
    work()
    assert Run.objects.get(product__reference="D-1").error_code == "image_of_other_product"
    assert OriginalImage.objects.get().product.reference == "D-2"


def test_addresses_of_our_own_network_are_not_fetched(merchandiser, web, settings):
    settings.ALLOW_IMAGE_URLS = True
    put(merchandiser, images=["http://127.0.0.1/a.png"])
    work()
    assert Run.objects.get().error_code == "address_not_allowed"
    assert web.seen == []


def test_addresses_are_refused_where_the_shop_does_not_allow_them(merchandiser, web):
    before = traces()
    refused(put(merchandiser, images=[web.show("/a.png", RED)]), 403, "image_urls_off")
    assert traces() == before
    problem = refused(put(merchandiser, images=["https://no host/a"]), 400, "invalid")
    assert set(problem["errors"]) == {"images"}


# --- Deleting -------------------------------------------------------------------------------


def test_a_product_that_is_deleted_leaves_results_at_once(catalogue_key, search_key):
    put(catalogue_key, images=[as_base64(RED)])
    work()
    add_product("D-2", "blue")
    add_product("D-3", "green")
    similar = "/api/v1/products/D-2/similar/"
    assert set(references(search_key.get(similar))) == {"D-1", "D-3"}
    assert catalogue_key.delete(URL).status_code == 204
    assert references(search_key.get(similar)) == ["D-3"]


def test_pictures_of_a_deleted_product_are_neither_fetched_nor_described(merchandiser, open_web):
    put(merchandiser, images=[open_web.show("/a.png", RED), as_base64(GREEN)])
    merchandiser.delete(URL)
    work()
    assert {run.state for run in Run.objects.all()} == {"cancelled"}
    assert open_web.seen == []
    assert not OriginalImage.objects.exists()


def test_a_product_may_be_named_batch_as_the_address_of_batches_is(catalogue_key):
    url = "/api/v1/products/batch/"
    product = {"name": "Batch dyed", "images": [as_base64(RED)]}
    assert catalogue_key.put(url, product).status_code == 201
    work()
    assert catalogue_key.get(url).json()["name"] == "Batch dyed"
    assert catalogue_key.head(url).status_code == 200
    assert catalogue_key.patch(url, {"brand": "Ada"}).json()["brand"] == "Ada"
    assert len(Product.objects.get(reference="batch").images.all()) == 1
    put_both = {"products": [{"reference": "batch", "name": "New"}, {"reference": "D-2"}]}
    outcomes = catalogue_key.post(url, put_both).json()["products"]
    assert [outcome["reference"] for outcome in outcomes] == ["batch", "D-2"]
    assert catalogue_key.delete(url).status_code == 204
    refused(catalogue_key.get(url), 404, "not_found")
    assert catalogue_key.head(url).status_code == 404
