"""What a page may cost: held here, in a real browser.

Long tasks are left out: how long one takes depends on what else the machine is doing.
"""

from __future__ import annotations

import pytest

from tests.pages.test_browser import (  # noqa: F401  (fixtures)
    best,
    browser,
    choose,
    complaints,
    open_page,
    pytestmark,
    shop,
)
from tests.pages.test_home import half_red_half_blue
from tests.shop import add_product

BYTES = 150_000
"""Of the first page, before its pictures; as they come over the wire."""

OBSERVE = """
  window.shifts = [];
  window.observer = new PerformanceObserver((list) => window.shifts.push(...list.getEntries()));
  window.observer.observe({ type: "layout-shift", buffered: true });
"""

TAKE_SHIFTS = """async () => {
  // What the last frame has moved is told after it has been drawn.
  for (let frame = 0; frame < 3; frame += 1) await new Promise(requestAnimationFrame);
  window.shifts.push(...window.observer.takeRecords());
  return window.shifts.splice(0).map((shift) =>
    [shift.value, shift.sources.map((source) => source.node?.outerHTML?.slice(0, 80))]);
}"""


def transferred(page, path: str) -> dict[str, float]:
    """The bytes of each answer that a page needs, but for pictures, by address."""
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    kinds, sizes = {}, {}
    session.on(
        "Network.responseReceived",
        lambda event: kinds.update({event["requestId"]: (event["type"], event["response"]["url"])}),
    )
    session.on(
        "Network.loadingFinished",
        lambda event: sizes.update({event["requestId"]: event["encodedDataLength"]}),
    )
    page.goto(path)
    page.wait_for_load_state("networkidle")
    return {kinds[key][1]: size for key, size in sizes.items() if kinds[key][0] != "Image"}


def test_the_first_page_is_small_before_its_pictures(open_page, shop):  # noqa: F811
    page = open_page("/support/")
    sizes = transferred(page, "/")
    assert any("home.js" in address for address in sizes)
    assert sum(sizes.values()) <= BYTES, sizes


def test_a_page_of_results_is_small_before_its_pictures(open_page, shop):  # noqa: F811
    page = open_page()
    choose(page, half_red_half_blue())
    best(page)
    sizes = transferred(page, page.url)
    assert sum(sizes.values()) <= BYTES, sizes


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_moves_when_results_come(open_page, shop, width):  # noqa: F811
    for number in range(12):
        add_product(f"MORE-{number}", "red", seed=number)
    page = open_page("/support/", width=width)
    page.add_init_script(OBSERVE)
    page.goto("/")
    page.wait_for_load_state("networkidle")
    held = []

    def hold(route) -> None:
        held.append(route)

    page.route("**/api/v1/searches/", hold)
    with page.expect_request("**/api/v1/searches/"):
        choose(page, half_red_half_blue())
    page.wait_for_selector("[data-view=results] [data-sending]:visible")
    page.evaluate(TAKE_SHIFTS)  # the photo is on its way: the page has made room
    held[0].continue_()
    best(page)
    page.wait_for_load_state("networkidle")
    assert page.evaluate(TAKE_SHIFTS) == []
