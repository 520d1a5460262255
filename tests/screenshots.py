"""`make screenshots`: the pictures in docs/screenshots, taken of a demonstration in Chromium.

    python -m tests.screenshots [--items 60] [--output docs/screenshots] [NAME ...]

Look at each before committing it. They are as good as the machine's fonts: with fonts-inter and
fonts-droid-fallback (Debian) they look much as on people's devices, in all six languages.
"""

from __future__ import annotations

import argparse
import io
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from similarity.engine.images import encode_jpeg
from similarity.engine.synthetic import scenes
from tests.scratch import REPOSITORY, Shop, eventually, shop_in

PASSWORD = "demo"
SEED = 1
LOOK = 5
"""The drawn look that is searched with."""

TOUCHED = 1000
"""Screens narrower than this, in pixels, are a finger's: there is a camera."""

QUALITY = 82
"""Of the WebP files, 0 to 100: text stays sharp at a tenth of a PNG's bytes."""


def home(page: Page) -> None:
    page.goto("/")


def results(page: Page) -> None:
    page.goto("/")
    picture = encode_jpeg(scenes.outfit(SEED, LOOK).image)
    page.set_input_files(
        "input[type=file]",
        files=[{"name": "look.jpg", "mimeType": "image/jpeg", "buffer": picture}],
    )
    page.wait_for_selector("#found-title")
    page.wait_for_load_state("networkidle")


def outfit(page: Page) -> None:
    results(page)
    page.click("a[href$='/outfit/']")
    page.wait_for_selector(".card img")


def garment(page: Page) -> None:
    results(page)
    page.click(".card a >> nth=0")
    page.wait_for_load_state("networkidle")


def sign_in(page: Page, name: str) -> None:
    page.goto("/sign-in/")
    page.fill("[name=username]", name)
    page.fill("[name=password]", PASSWORD)
    page.click("main form button")
    page.wait_for_load_state("networkidle")


def history(page: Page) -> None:
    sign_in(page, "shopper")
    for number in range(PAST):
        page.goto("/")
        page.locator(".try").nth(number).click()
        page.wait_for_selector("#found-title")
    page.goto("/history/")


def zero(page: Page) -> None:
    """Filters that leave nothing, and the ways out."""
    results(page)
    page.click("#open-price")
    page.fill("#filter-price", "1")
    page.click("#apply-price")
    page.wait_for_selector(".empty")


def narrowed(page: Page) -> None:
    """A filter's panel, open over the results."""
    results(page)
    page.click("#open-colour")
    page.check("#filter-colour-blue")


def admin(path: str) -> Callable[[Page], None]:
    def opened(page: Page) -> None:
        sign_in(page, "admin")
        page.goto(path)

    return opened


def followed(path: str, *links: str) -> Callable[[Page], None]:
    """A page of the admin that is reached from another by links, given as selectors."""

    def opened(page: Page) -> None:
        admin(path)(page)
        for link in links:
            page.locator(link).first.click()
            page.wait_for_load_state("networkidle")

    return opened


def builds(page: Page) -> None:
    admin("/admin/similarity/indexbuild/")(page)
    for box in page.locator(".action-select").all():
        box.check()
    page.select_option("[name=action]", "compare")
    page.click(".actions button[type=submit]")
    page.wait_for_selector(".compared")


def boxes(page: Page) -> None:
    followed(PRODUCTS, "#result_list tbody th a", "text=Edit garments")(page)
    page.locator("[data-canvas] .garment").first.focus()


PRODUCTS = "/admin/catalog/product/?q=DEMO-0002"
PAST = 3
"""Searches that the history shows."""


@dataclass(frozen=True)
class Shot:
    """A page as somebody sees it: its width in pixels, and light or dark."""

    name: str
    reach: Callable[[Page], None]
    width: int = 1280
    theme: str = "light"

    @property
    def size(self) -> tuple[int, int]:
        return self.width, 844 if self.width < 500 else 1024 if self.width < 1000 else 860


SHOTS = [
    Shot("home", home),
    Shot("home-phone-dark", home, 390, "dark"),
    Shot("results", results),
    Shot("results-dark", results, theme="dark"),
    Shot("results-tablet", results, 768),
    Shot("results-phone", results, 390),
    Shot("filters", narrowed),
    Shot("nothing-left-phone", zero, 390),
    Shot("look", outfit),
    Shot("look-phone-dark", outfit, 390, "dark"),
    Shot("garment", garment),
    Shot("garment-phone-dark", garment, 390, "dark"),
    Shot("history", history),
    Shot("history-phone-dark", history, 390, "dark"),
    Shot("admin", admin("/admin/")),
    Shot("admin-dark", admin("/admin/"), theme="dark"),
    Shot("admin-product", followed(PRODUCTS, "#result_list tbody th a")),
    Shot("admin-boxes", boxes),
    Shot("admin-import", followed("/admin/shop/importjob/", "#result_list tbody th a")),
    Shot("admin-jobs", admin("/admin/similarity/run/")),
    Shot("admin-duplicates", admin("/admin/catalog/lookalike/")),
    Shot("admin-quality", admin("/admin/catalog/picturequality/")),
    Shot("admin-builds", builds),
    Shot("admin-rules", admin("/admin/similarity/rule/")),
    Shot("admin-events", admin("/admin/shop/shopperevent/report/")),
]


def take(browser: Browser, url: str, shot: Shot, folder: Path) -> None:
    width, height = shot.size
    options: dict[str, Any] = {
        "viewport": {"width": width, "height": height},
        "reduced_motion": "reduce",
    }
    if width < TOUCHED:
        options |= {"has_touch": True, "is_mobile": True}
    context = browser.new_context(base_url=url, color_scheme=shot.theme, **options)
    try:
        page = context.new_page()
        shot.reach(page)
        page.wait_for_load_state("networkidle")
        picture = Image.open(io.BytesIO(page.screenshot()))
        picture.save(folder / f"{shot.name}.webp", quality=QUALITY, method=6)
    finally:
        context.close()


@contextmanager
def demonstration(items: int) -> Iterator[str]:
    """The address of a demonstration with so many products; it is gone afterwards."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    models = {"DETECTOR": "compact", "EMBEDDER": "compact"}
    with (
        tempfile.TemporaryDirectory() as folder,
        shop_in(Path(folder), **models) as shop,
    ):
        demo = shop.start("demo", "--port", port, "--items", items)
        eventually(lambda: _has_started(shop) or demo.poll() is not None, within=900)
        if demo.poll() is not None:
            raise SystemExit(shop.log)
        shop.python("from tests import busy_day\nbusy_day.fill()")
        yield f"http://127.0.0.1:{port}"


def _has_started(shop: Shop) -> bool:
    return "FashionSim is at" in shop.log


def main() -> None:
    parser = argparse.ArgumentParser(description="Take the pictures in docs/screenshots.")
    parser.add_argument("--items", type=int, default=60)
    parser.add_argument("--output", type=Path, default=REPOSITORY / "docs" / "screenshots")
    parser.add_argument("names", nargs="*", help="only these")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with demonstration(options.items) as url, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for shot in SHOTS:
            if options.names and shot.name not in options.names:
                continue
            take(browser, url, shot, options.output)
            print(shot.name)
        browser.close()


if __name__ == "__main__":
    main()
