"""What a person sees or hears of a page: its text, and attributes that are shown or read out."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser

ATTRIBUTES = {
    "alt",
    "aria-description",
    "aria-label",
    "aria-roledescription",
    "data-title",
    "label",
    "placeholder",
    "title",
}
SILENT = {"script", "style"}


class Texts(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.open: str = ""

    def handle_starttag(self, tag, attrs) -> None:
        self.open = tag
        values = dict(attrs)
        self.found += [value for name, value in attrs if name in ATTRIBUTES and value]
        if tag == "meta" and values.get("name") == "description":
            self.found.append(values["content"])
        if tag == "input" and values.get("type") in {"submit", "button"}:
            self.found.append(values.get("value") or "")

    def handle_endtag(self, tag) -> None:
        self.open = ""

    def handle_data(self, data) -> None:
        if self.open not in SILENT:
            self.found.append(data)


def texts(markup: str) -> Iterator[str]:
    """Each text of a page that is not blank."""
    parser = Texts()
    parser.feed(markup)
    parser.close()
    return (text.strip() for text in parser.found if text.strip())
