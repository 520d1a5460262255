"""The box editor in a real browser: drawn with the mouse, with a finger, and by keyboard."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from accounts import roles
from catalog.models import OriginalImage, Segment
from tests.conftest import person
from tests.pages.test_accessibility import LOOKS, check
from tests.pages.test_browser import (  # noqa: F401  (fixtures)
    browser,
    complaints,
    open_page,
    playwright,
    pytestmark,
    shop,
)


@pytest.fixture
def open_editor(open_page, shop, live_server):  # noqa: F811
    """Opens the editor of the red product's picture, 120 by 160 pixels, as a merchandiser."""
    image = OriginalImage.objects.get(product__reference="RED")
    client = Client()
    client.force_login(person("mona", roles.MERCHANDISER, is_staff=True))
    cookie = {"name": "sessionid", "value": client.cookies["sessionid"].value}

    def open_editor(**options):
        page = open_page("/support/", **options)
        page.context.add_cookies([cookie | {"url": live_server.url}])
        page.goto(reverse("admin:garments", args=[image.pk]))
        page.image = image
        return page

    return open_editor


def at(page, x, y):
    """Where a pixel of the picture is on the screen."""
    return page.evaluate(
        """([x, y]) => {
          const svg = document.querySelector("[data-canvas]");
          const at = new DOMPoint(x, y).matrixTransform(svg.getScreenCTM());
          return [at.x, at.y];
        }""",
        [x, y],
    )


def drag(page, start, end):
    page.mouse.move(*at(page, *start))
    page.mouse.down()
    page.mouse.move(*at(page, *end), steps=4)
    page.mouse.up()


def push(page, *places, end="touchEnd"):
    """The same as `drag`, with a finger, by way of all the places."""
    client = page.context.new_cdp_session(page)
    start, *further = [at(page, *place) for place in places]  # no pause while the finger is down

    def touch(kind, *points):
        points = [{"x": x, "y": y} for x, y in points]
        client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", start)
    for point in further:
        touch("touchMove", point)
    touch(end)


def test_what_was_drawn_with_a_finger_that_was_called_off_is_left_alone_afterwards(open_editor):
    page = open_editor(has_touch=True)
    page.locator("[data-item]").last.get_by_label("Delete").check()  # room to draw in
    page.locator("[data-canvas]").scroll_into_view_if_needed()
    push(page, (70, 20), (90, 60), (110, 100), end="touchCancel")
    playwright.expect(page.locator("[data-item]")).to_have_count(3)
    page.mouse.click(*at(page, 20, 60))
    playwright.expect(page.locator("[data-canvas] .garment").first).to_be_focused()
    assert page.locator("[data-item].is-selected").count() == 1
    assert "is-selected" in page.locator("[data-item]").first.get_attribute("class")


def save(page):
    with page.expect_navigation():
        page.click("input[value=Save]")
    return {row.label: row.pixels for row in page.image.segments.all()}


def test_a_garment_is_drawn_and_named(open_editor):
    page = open_editor()
    page.locator("[data-item]").last.get_by_label("Delete").check()  # room to draw in
    drag(page, (70, 20), (110, 100))
    page.keyboard.type("hat")
    page.keyboard.press("Tab")
    found = save(page)
    assert "bag" not in found
    assert all(abs(a - b) <= 1 for a, b in zip(found["hat"], (70, 20, 110, 100), strict=True))


def test_a_garment_is_moved_and_resized_with_the_mouse(open_editor):
    page = open_editor()
    page.mouse.click(*at(page, 20, 60))
    drag(page, (59, 159), (39, 119))  # the corner of the left half
    drag(page, (20, 60), (30, 70))
    found = save(page)["top"]
    assert all(abs(a - b) <= 1 for a, b in zip(found, (10, 10, 50, 130), strict=True))


def test_a_finger_draws_as_well(open_editor):
    page = open_editor(width=390, has_touch=True)
    page.locator("[data-item]").last.get_by_label("Delete").check()
    page.locator("[data-canvas]").scroll_into_view_if_needed()
    push(page, (70, 20), (90, 60), (110, 100))
    page.locator("[data-item]").last.get_by_label("What it is").fill("hat")
    assert abs(save(page)["hat"][2] - 110) <= 1


def test_all_of_it_is_done_by_keyboard(open_editor):
    page = open_editor()
    page.locator("[data-canvas] .garment").first.focus()
    for key in ("Shift+ArrowLeft", "Shift+ArrowUp", "ArrowRight", "ArrowDown", "Alt+ArrowDown"):
        page.keyboard.press(key)
    page.keyboard.press("m")
    page.keyboard.press("Enter")
    page.keyboard.press("Control+a")
    page.keyboard.type("cape")
    assert save(page)["cape"] == (2, 2, 60, 160)
    page.image.refresh_from_db()
    assert page.image.main_segment.label == "cape"


def test_delete_takes_a_garment_away_when_the_form_is_saved(open_editor):
    page = open_editor()
    page.locator("[data-canvas] .garment").last.focus()
    page.keyboard.press("Delete")
    assert Segment.objects.filter(image=page.image).count() == 2
    assert list(save(page)) == ["top"]


def test_without_a_script_the_same_is_typed(open_editor):
    page = open_editor(java_script_enabled=False)
    extra = page.locator("[data-item]").nth(2)
    extra.get_by_label("What it is").fill("hat")
    for edge, value in {"Left": 10, "Top": 20, "Right": 50, "Bottom": 60}.items():
        extra.get_by_label(edge).fill(str(value))
    assert save(page)["hat"] == (10, 20, 50, 60)


@LOOKS
def test_nothing_keeps_people_out(open_editor, theme):
    # axe measures with styles of its own, which the policy of this page would not let it.
    page = open_editor(bypass_csp=True, **theme)
    page.locator("[data-canvas] .garment").first.focus()
    check(page)
