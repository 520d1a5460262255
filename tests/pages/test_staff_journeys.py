"""What merchandisers and staff do, from end to end, on each screen and in both themes."""

from __future__ import annotations

import pytest
from django.urls import reverse

from accounts import roles
from catalog.models import Lookalike, OriginalImage, PictureQuality, Product, Segment
from catalog.services import save_product
from shop import exchange
from shop.models import ImportJob, ShopperEvent
from similarity import pipeline, services
from similarity.models import GoldenSet, Rule, Run
from tests.conftest import person
from tests.pages.screens import (  # noqa: F401  (fixtures)
    EVERYWHERE,
    Visit,
    browser,
    complaints,
    open_page,
    pytestmark,
    screen,
    visit,
)
from tests.pages.test_box_editor import drag as draw
from tests.pages.test_box_editor import push
from tests.pages.test_browser import best, choose, playwright
from tests.pictures import drawing, encoded, photo, poor_jpeg
from tests.shop import add_photo, add_product

expect = playwright.expect

NAME = "Asymmetric double-breasted herringbone overcoat with a detachable hood"
"""As long as a shop's own get."""


@pytest.fixture
def shop(transactional_db, use):
    use("DETECTOR", "Halves")
    details = {"price": "1299.00", "sizes": ["S", "M"], "tags": ["floral", "long"]}
    add_product("RED", "red", name=NAME, category="Coats", brand="Maison Interminable", **details)
    add_product("BLUE", "blue", category="Dresses", brand="Bea", price="20.00")


@pytest.fixture
def open_desk(visit, shop):  # noqa: F811
    """Opens a page of the admin as somebody of the staff."""
    stefan = person("stefan", roles.STAFF, is_staff=True)

    def open_desk(path: str, **options) -> Visit:
        return visit(path, user=stefan, **options)

    return open_desk


def listed(model: str) -> str:
    return reverse(f"admin:{model}_changelist")


def act(shown: Visit, action: str) -> None:
    """An action on the first row of a list."""
    shown.page.locator(".action-select").first.check()
    shown.page.select_option("[name=action]", label=action)
    shown.press_to_leave(".actions button[type=submit]")


@EVERYWHERE
def test_the_day_begins_with_the_overview_and_the_jobs(open_desk, screen):  # noqa: F811
    blue = OriginalImage.objects.get(product__reference="BLUE")
    services.search(segment=blue.segments.first(), limit=3)
    run = services.start_upload(services.take_in(photo("green"))).run
    Run.objects.filter(pk=run.pk).update(
        state=Run.State.FAILED, error_code="bad", error_message="It could not be read."
    )
    shown = open_desk(reverse("admin:index"))
    shown.looks_well()
    shown.press_to_leave(".dash-facts a >> text=Failed")
    page = shown.page
    assert page.get_by_text("It could not be read.").is_visible()
    shown.looks_well()
    shown.press_to_leave("text=Pause the queue")
    assert page.locator(".queue .badge").inner_text() == "Paused"
    shown.looks_well()
    shown.press_to_leave("text=Resume the queue")
    shown.press_to_leave("text=Run all failed again")
    run.refresh_from_db()
    assert run.state == Run.State.PENDING
    shown.go(reverse("admin:similarity_run_change", args=[run.pk]))
    shown.looks_well()


@EVERYWHERE
def test_a_product_is_looked_up_and_its_garments_drawn(open_desk, screen):  # noqa: F811
    shown = open_desk(listed("catalog_product"))
    page = shown.page
    shown.looks_well()
    page.fill("#searchbar", "RED")
    shown.press_to_leave("#changelist-search [type=submit]")
    shown.press_to_leave("#result_list tbody th a")
    assert page.input_value("[name=name]") == NAME
    shown.looks_well()
    shown.press_to_leave("text=Edit garments")
    page.image = OriginalImage.objects.get(product__reference="RED")
    shown.looks_well()
    before = {row.label: row.identifier for row in page.image.segments.all()}
    page.locator("[data-item]").last.get_by_label("Delete").check()  # room to draw in
    page.locator("[data-canvas]").scroll_into_view_if_needed()
    if screen.is_touched:
        push(page, (70, 20), (90, 60), (110, 100))
    else:
        draw(page, (70, 20), (110, 100))
    page.locator("[data-item]").last.get_by_label("What it is").fill("hat")
    shown.looks_well()
    shown.press_to_leave("input[value=Save]")
    after = {row.label: row.identifier for row in page.image.segments.all()}
    assert set(after) == {"top", "hat"}
    assert after["top"] == before["top"], "what was not touched is not described anew"
    shown.go(reverse("admin:catalog_product_history", args=[page.image.product_id]))
    shown.looks_well()


@EVERYWHERE
def test_what_is_suggested_is_put_in_by_a_click_and_saved(open_desk):
    new = add_product("NEW", "red", seed=9).image.product
    shown = open_desk(reverse("admin:catalog_product_change", args=[new.pk]))
    shown.looks_well()
    shown.press("[data-suggestion] >> text=floral")
    shown.looks_well()
    shown.press_to_leave("input[name=_save]")
    assert [tag.name for tag in new.tags.all()] == ["floral"]


@EVERYWHERE
def test_a_file_is_looked_through_before_it_is_taken_in(open_desk):
    shown = open_desk(reverse("admin:shop_importjob_add"))
    page = shown.page
    shown.looks_well()
    lines = ["reference,name,brand", "RED,Gown,Ada", "N-1,Coat,Bea", ",Nobody,Cleo"]
    file = {"name": "new.csv", "mimeType": "text/csv", "buffer": "\n".join(lines).encode()}
    page.set_input_files("[name=file]", files=[file])
    shown.press_to_leave("input[value=Send]")
    shown.looks_well()
    shown.press_to_leave("text=Look through")
    job = ImportJob.objects.get()
    shown.looks_well()
    exchange.work(job.pk)
    page.reload()
    expect(page.locator("del").first).to_have_text(NAME)
    assert page.get_by_text("It has no reference.").is_visible()
    assert Product.objects.get(reference="RED").name == NAME
    shown.looks_well()
    shown.press_to_leave(page.get_by_role("button", name="Take in"))
    shown.press_to_leave(page.get_by_role("button", name="Stop"))
    exchange.work(job.pk)
    assert Product.objects.get(reference="RED").name == NAME
    page.reload()
    shown.looks_well()
    shown.press_to_leave(page.get_by_role("button", name="Go on"))
    exchange.work(job.pk)
    page.reload()
    assert Product.objects.get(reference="RED").name == "Gown"
    shown.looks_well()
    shown.go(listed("shop_importjob"))
    shown.looks_well()


@EVERYWHERE
def test_pairs_are_decided_and_poor_pictures_seen(open_desk):
    one, other = (save_product(reference, name=NAME) for reference in ("D-1", "D-2"))
    add_photo(encoded(drawing()), one)
    add_photo(poor_jpeg(drawing()), other)
    PictureQuality.objects.update(sharpness=1.0)
    pair = Lookalike.objects.get()
    shown = open_desk(listed("catalog_lookalike"))
    page = shown.page
    assert page.locator(".lookalike img").count() == 2
    shown.looks_well()
    shown.press_to_leave("text=merge them")
    shown.looks_well()
    shown.go(reverse("admin:catalog_lookalike_change", args=[pair.pk]))
    shown.looks_well()
    shown.go(listed("catalog_lookalike"))
    shown.press_to_leave("button:text('Different pictures')")
    assert page.get_by_text("It will not be asked again.").is_visible()
    assert page.locator(".row-buttons button").count() == 0
    pair.refresh_from_db()
    assert pair.decision == Lookalike.Decision.DIFFERENT
    shown.go(listed("catalog_picturequality"))
    assert page.get_by_text("Blurry").first.is_visible()
    shown.looks_well()


@EVERYWHERE
def test_a_rule_is_made_and_seen_by_shoppers(open_desk):
    shown = open_desk(reverse("admin:similarity_rule_add"))
    page = shown.page
    page.select_option("[name=action]", "pin")
    shown.press(".field-product .select2-selection")
    page.keyboard.type("BLUE")
    page.locator(".select2-results__option", has_text="BLUE").click()
    shown.looks_well()
    shown.press_to_leave("input[name=_save]")
    assert Rule.objects.get().product.reference == "BLUE"
    shown.looks_well()
    shown.go("/")
    choose(page, photo("red", seed=5))
    assert best(page) == "blue thing"
    assert page.locator(".found .card").first.get_by_text("Our pick").is_visible()
    shown.looks_well()


@EVERYWHERE
def test_shoppers_doings_are_reported(open_desk):
    red = Product.objects.get(reference="RED")
    run = services.search(segment=Segment.objects.filter(image__product=red).first(), limit=3)
    for kind in ShopperEvent.Kind.values:
        ShopperEvent.objects.create(kind=kind, product=red, search=run, position=0)
    shown = open_desk(listed("shop_shopperevent"))
    shown.looks_well()
    page = shown.page
    shown.press_to_leave(page.get_by_role("link", name="Report"))
    assert page.locator(".plots li").count() >= 3
    assert page.locator(".report-table th[scope=row]").first.inner_text().startswith(NAME)
    shown.looks_well()
    with page.expect_download() as fetched:
        shown.press(page.get_by_role("link", name="CSV").first)
    assert "RED" in fetched.value.path().read_text()


@EVERYWHERE
def test_builds_are_compared(open_desk):
    for _ in range(2):
        pipeline.execute(services.start_rebuild().pk)
    shown = open_desk(listed("similarity_indexbuild"))
    shown.looks_well()
    for box in shown.page.locator(".action-select").all():
        box.check()
    shown.page.select_option("[name=action]", "compare")
    shown.press_to_leave(".actions button[type=submit]")
    assert shown.page.locator(".compared thead th").count() == 2
    shown.looks_well()


@EVERYWHERE
def test_results_are_marked_right_and_wrong(open_desk):
    shown = open_desk("/")
    page = shown.page
    choose(page, photo("red", seed=5))
    best(page)
    shown.press(".mark >> nth=0")
    page.wait_for_selector('.mark[aria-pressed="true"]')
    shown.looks_well()
    assert [query.verdicts.count() for query in GoldenSet.objects.get().queries.all()] == [1]
    shown.go(listed("similarity_goldenset"))
    shown.looks_well()
