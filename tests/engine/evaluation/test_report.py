"""The report is one file, and nothing in it is taken for markup."""

import base64
from html.parser import HTMLParser
from io import BytesIO

import pytest
from PIL import Image

from similarity.engine import Box
from similarity.engine.evaluation.report import Line, Picture, Section, Table, page, plot, thumbnail

NASTY = "<script>alert('x')</script> & \"quoted\""


class Tags(HTMLParser):
    """Collects the tags of a document, and what is left open."""

    def __init__(self) -> None:
        super().__init__()
        self.seen, self.open, self.text = [], [], ""

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in {"meta", "img"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.fixture
def document() -> Tags:
    picture = Picture(Image.new("RGB", (300, 200), "red"), NASTY, right=False)
    section = Section(
        NASTY,
        NASTY,
        [Table(["", NASTY], [[NASTY, "0.5"]])],
        [Line(NASTY, [(0, 1), (1, 0.5)])],
        {NASTY: [[picture]], "Nothing to show": []},
    )
    tags = Tags()
    tags.feed(page(NASTY, {NASTY: NASTY}, [section]))
    tags.close()
    return tags


def test_all_text_is_escaped(document):
    assert "script" not in {tag for tag, _ in document.seen}
    assert document.text.count(NASTY) == 11
    (image,) = (attributes for tag, attributes in document.seen if tag == "img")
    assert image["alt"] == NASTY


def test_every_tag_is_closed(document):
    assert document.open == []


def test_nothing_is_fetched(document):
    sources = [value for _, attributes in document.seen for value in attributes.values()]
    assert not [value for value in sources if value.startswith("http") and "w3.org" not in value]


def test_a_heading_without_cases_is_left_out(document):
    assert "Nothing to show" not in document.text


def test_a_plot_has_its_corners_where_the_axes_are():
    drawn = plot([Line("model", [(0, 0), (1, 1)])])
    assert 'points="44,256 376,44"' in drawn


def test_boxes_are_drawn_at_the_thumbnails_scale():
    white = Image.new("RGB", (1400, 700), "white")
    address = thumbnail(Picture(white, "", boxes=[(Box(0, 0, 700, 700), "red")]))
    small = Image.open(BytesIO(base64.b64decode(address.partition(",")[2])))
    assert small.size == (140, 70)
    assert small.getpixel((69, 35))[1] < 100
    assert small.getpixel((75, 35))[1] > 200


def test_a_table_is_aligned_for_a_terminal():
    table = Table(["", "mAP"], [["colour", "0.1"], ["compact", "0.25"]])
    assert table.as_text().splitlines() == ["          mAP", "colour    0.1", "compact  0.25"]
