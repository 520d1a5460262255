"""The screens that people look at the shop on, and what is measured of a page on each of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from tests.pages.test_browser import (  # noqa: F401  (fixtures)
    browser,
    complaints,
    open_page,
    playwright,
    pytestmark,
)

expect = playwright.expect

MEASURE = Path(__file__).parent / "seemly.js"

PHONE = (
    "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/140.0.0.0 Mobile Safari/537.36"
)

PAPER = {
    theme: re.compile(rf"rgb\({part}, {part}, {part}\)")
    for theme, part in {"light": r"2\d\d", "dark": r"[1-5]?\d"}.items()
}
"""The colour of a page's ground in a theme."""


@dataclass(frozen=True)
class Screen:
    """A width in CSS pixels, and whether scripts run. Narrow ones are touched."""

    width: int
    scripts: bool = True

    @property
    def is_phone(self) -> bool:
        return self.width < 600

    @property
    def is_touched(self) -> bool:
        return self.width < 1000

    @property
    def options(self) -> dict[str, Any]:
        """Of a browser's context."""
        return {
            "viewport": {"width": self.width, "height": 844 if self.is_phone else 900},
            "java_script_enabled": self.scripts,
            "has_touch": self.is_touched,
            "is_mobile": self.is_phone,
            "reduced_motion": "reduce",  # nothing is measured while it is on its way
            **({"user_agent": PHONE} if self.is_phone else {}),
        }

    def __str__(self) -> str:
        return f"{self.width}{'' if self.scripts else '-no-script'}"


SCREENS = [Screen(width) for width in (390, 768, 1280)]
PLAIN_SCREENS = [Screen(screen.width, scripts=False) for screen in SCREENS]

EVERYWHERE = pytest.mark.parametrize("screen", SCREENS, ids=str)
WITHOUT_SCRIPTS = pytest.mark.parametrize("screen", PLAIN_SCREENS, ids=str)
WITH_AND_WITHOUT = pytest.mark.parametrize("screen", SCREENS + PLAIN_SCREENS, ids=str)


class Visit:
    """Somebody at a screen: a page, pressed as one presses there, and looked at."""

    def __init__(self, page, screen: Screen, complaints: list[str]) -> None:  # noqa: F811
        self.page, self.screen, self.complaints = page, screen, complaints

    def go(self, path: str) -> None:
        assert self.page.goto(path).ok, path

    def press(self, what) -> None:
        """Press a place, given by a selector or as a locator.

        By the mouse on every screen: on a busy machine a tap gets so long that Chromium takes it
        for another gesture. What fingers do otherwise than a mouse, a test does by fingers.
        """
        (self.page.locator(what).first if isinstance(what, str) else what).click()

    def press_to_leave(self, what) -> None:
        """The same, where it loads another page."""
        with self.page.expect_navigation():
            self.press(what)

    def looks_well(self) -> None:
        """In both themes nothing sideways, cut off, too small to hit or on top of another; no
        complaint."""
        for theme, paper in PAPER.items():
            self.page.emulate_media(color_scheme=theme)
            expect(self.page.locator("body")).to_have_css("background-color", paper)
            wrong = self.page.evaluate(MEASURE.read_text(), self.screen.width)
            assert not wrong, "\n".join([self.page.url, theme, *wrong])
        assert not self.complaints, (self.page.url, self.complaints)


@pytest.fixture
def screen(request) -> Screen:
    """Named by the test's own marks: `EVERYWHERE` and its like."""
    return request.param


@pytest.fixture
def visit(open_page, screen, complaints):  # noqa: F811
    """Opens a page of the shop at the test's screen; as somebody who has signed in, if given."""

    def visit(path: str = "/", user=None, **options) -> Visit:
        known = {"cookies": [session_of(user)] if user else [], "origins": []}
        page = open_page(path, **screen.options, storage_state=known, **options)
        return Visit(page, screen, complaints)

    return visit


def session_of(user) -> dict[str, Any]:
    """The cookie of a browser in which somebody has signed in."""
    client = Client()
    client.force_login(user)
    return {
        "name": "sessionid",
        "value": client.cookies["sessionid"].value,
        "domain": "localhost",
        "path": "/",
        "expires": -1,
        "httpOnly": True,
        "secure": False,
        "sameSite": "Lax",
    }
