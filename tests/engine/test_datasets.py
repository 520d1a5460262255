"""Labelled photos are read from disk and parted so that nobody is on both sides."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from similarity.engine import Box, datasets
from similarity.engine.errors import BadDataset

ROWS = [("a.jpg", "T-Shirt", "1"), ("b.jpg", "Dress", "1"), ("c.jpg", "Hat", "2")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "clothing" / "images").mkdir(parents=True)
    (tmp_path / "street" / "photos").mkdir(parents=True)
    for name, _, _ in ROWS:
        Image.new("RGB", (30, 40), "red").save(tmp_path / "clothing" / "images" / name)
    Image.new("RGB", (60, 80), "blue").save(tmp_path / "street" / "photos" / "s.jpg")
    _list(tmp_path, ROWS)
    garment = {"tag": "boots", "garment": "shoes", "box": [10, 60, 30, 80], "pixels": 300}
    listing = {"labels": [], "photos": {"s.jpg": {"size": [60, 80], "garments": [garment]}}}
    (tmp_path / "street" / "garments.json").write_text(json.dumps(listing))
    return tmp_path


def _list(folder: Path, rows: list[tuple[str, str, str]]) -> None:
    lines = ["image,label,sender_id,kids", *(f"{i},{label},{s},False" for i, label, s in rows)]
    (folder / "clothing" / "labels.csv").write_text("\n".join(lines))


def test_a_folder_of_folders_is_all_of_them_together(folder: Path) -> None:
    photos = datasets.read(folder)
    assert [photo.path.name for photo in photos] == ["a.jpg", "b.jpg", "c.jpg", "s.jpg"]
    assert photos[0].garments == (datasets.Garment("t-shirt", None),)
    assert photos[3].garments == (datasets.Garment("shoes", Box(10, 60, 30, 80)),)


def test_outlines_tell_what_each_pixel_shows(folder: Path) -> None:
    _outline(folder, garment=1, skin=2)
    photo = datasets.read(folder)[3]
    shown = datasets.outlined(photo, ["hat", "shoes"])
    assert shown is not None
    assert shown.shape == (80, 60)
    assert (shown[:10, 0] == 2).all()  # shoes
    assert (shown[:10, 1] == 3).all()  # somebody, and none of the labels
    assert (shown[:10, 2] == datasets.NOBODY).all()


def test_outlines_without_labels_tell_who_from_where(folder: Path) -> None:
    _outline(folder, garment=1, skin=2)
    shown = datasets.outlined(datasets.read(folder)[3])
    assert shown is not None
    assert shown[:10, :3].tolist() == [[1, 1, datasets.NOBODY]] * 10


def test_photos_without_outlines_have_none(folder: Path) -> None:
    assert [datasets.outlined(photo) for photo in datasets.read(folder)] == [None] * 4


@pytest.mark.parametrize("drawn", [Image.new("RGB", (60, 80)), Image.new("I;16", (60, 80)), None])
def test_outlines_that_are_none_are_an_error(folder: Path, drawn: Image.Image | None) -> None:
    _outline(folder)
    path = folder / "street" / "masks" / "s.png"
    path.write_bytes(b"no picture") if drawn is None else drawn.save(path)
    with pytest.raises(BadDataset, match=re.escape(str(path))):
        datasets.outlined(datasets.read(folder)[3])


def _outline(folder: Path, garment: int = 0, skin: int = 0) -> None:
    """Masks of the street photo: a garment in the first column, skin in the second."""
    (folder / "street" / "masks").mkdir()
    mask = Image.new("L", (60, 80))
    mask.paste(garment, (0, 0, 1, 80))
    mask.paste(skin, (1, 0, 2, 80))
    mask.save(folder / "street" / "masks" / "s.png")
    path = folder / "street" / "garments.json"
    path.write_text(path.read_text().replace('"labels": []', '"labels": ["null", "boots", "skin"]'))


def test_a_garment_is_cropped_by_its_box_or_is_the_whole_photo(folder: Path) -> None:
    photos = datasets.read(folder)
    assert datasets.crop(photos[3], photos[3].garments[0]).size == (20, 20)
    assert datasets.crop(photos[0], photos[0].garments[0]).size == (30, 40)


def test_of_a_box_the_part_in_the_photo_is_cropped(folder: Path) -> None:
    _boxed("[-20, 60, 30, 200]")(folder)
    photo = datasets.read(folder)[3]
    assert datasets.crop(photo, photo.garments[0]).size == (30, 20)


def test_a_box_outside_its_photo_is_an_error_that_says_so(folder: Path) -> None:
    _boxed("[100, 60, 130, 80]")(folder)
    photo = datasets.read(folder)[3]
    with pytest.raises(BadDataset, match=r"shoes of .*s\.jpg lies outside the photo.* 60 x 80"):
        datasets.crop(photo, photo.garments[0])


def test_a_photo_is_seen_as_it_would_be_if_it_were_uploaded(folder: Path) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    images = folder / "clothing" / "images"
    Image.new("RGB", (30, 40)).save(images / "a.jpg", exif=turned)
    Image.new("RGBA", (30, 40), (255, 0, 0, 0)).save(images / "b.jpg", "PNG")
    photos = datasets.read(folder)
    assert datasets.open_rgb(photos[0]).size == (40, 30)
    assert datasets.open_rgb(photos[1]).getpixel((5, 5)) == (255, 255, 255)


def test_a_damaged_photo_is_an_error_that_names_it(folder: Path) -> None:
    path = folder / "clothing" / "images" / "a.jpg"
    Image.new("RGB", (300, 400)).save(path, "PNG")
    data = bytearray(path.read_bytes())
    data[12:16] = b"IHDX"
    path.write_bytes(data)
    with pytest.raises(BadDataset, match=r"a\.jpg"):
        datasets.open_rgb(datasets.read(folder)[0])


def test_a_listing_that_a_spreadsheet_saved_is_read(folder: Path) -> None:
    path = folder / "clothing" / "labels.csv"
    path.write_text(path.read_text(), encoding="utf-8-sig")
    assert len(datasets.read(folder)) == 4


def test_the_photos_of_one_sender_are_on_one_side(folder: Path) -> None:
    rows = [(ROWS[n % 3][0], "Dress", str(n % 40)) for n in range(400)]
    _list(folder, rows)
    parts = datasets.split(datasets.read(folder / "clothing"), held_out=0.25)
    train, held = ({photo.group for photo in part} for part in (parts.train, parts.held_out))
    assert not train & held
    assert len(train | held) == 40
    assert len(parts.held_out) == 100


def test_one_sender_with_many_photos_does_not_decide_what_is_measured(folder: Path) -> None:
    rows = [("a.jpg", "Dress", "many")] * 300 + [("b.jpg", "Hat", str(n)) for n in range(300)]
    _list(folder, rows)
    parts = datasets.split(datasets.read(folder / "clothing"), held_out=0.6)
    assert "sender many" not in {photo.group for photo in parts.held_out}


def test_a_split_is_the_same_every_time_and_on_every_machine(folder: Path) -> None:
    _list(folder, [(ROWS[n % 3][0], "Dress", str(n)) for n in range(30)])
    photos = datasets.read(folder / "clothing")
    held = {photo.group for photo in datasets.split(photos).held_out}
    assert held == {f"sender {number}" for number in (3, 12, 17, 18, 26)}
    assert datasets.split(photos[::-1]).held_out == datasets.split(photos).held_out[::-1]


def _no_such_photo(folder: Path) -> None:
    (folder / "clothing" / "images" / "a.jpg").unlink()


def _no_label_column(folder: Path) -> None:
    (folder / "clothing" / "labels.csv").write_text("image,sender_id\na.jpg,1\n")


def _not_json(folder: Path) -> None:
    (folder / "street" / "garments.json").write_text("{")


def _a_box_of_three_numbers(folder: Path) -> None:
    path = folder / "street" / "garments.json"
    path.write_text(path.read_text().replace("[10, 60, 30, 80]", "[10, 60, 30]"))


def _boxed(edges: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        path = folder / "street" / "garments.json"
        path.write_text(path.read_text().replace("[10, 60, 30, 80]", edges))

    return spoil


def _a_line_that_breaks_off(folder: Path) -> None:
    path = folder / "clothing" / "labels.csv"
    path.write_text(path.read_text() + "\na.jpg")


def _a_list_of_photos(folder: Path) -> None:
    (folder / "street" / "garments.json").write_text('{"photos": []}')


@pytest.mark.parametrize(
    "spoil",
    [
        _no_such_photo,
        _no_label_column,
        _a_line_that_breaks_off,
        _not_json,
        _a_list_of_photos,
        _a_box_of_three_numbers,
        _boxed("[10, 60, 10, 80]"),
        _boxed("[30, 60, 10, 80]"),
        _boxed("[10, 60, NaN, 80]"),
        _boxed("[10, 60, Infinity, 80]"),
    ],
)
def test_what_is_not_laid_out_as_it_should_be_is_refused(
    folder: Path, spoil: Callable[[Path], None]
) -> None:
    spoil(folder)
    with pytest.raises(BadDataset):
        datasets.read(folder)


def test_a_folder_without_listings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadDataset, match=r"neither a labels\.csv nor a garments\.json"):
        datasets.read(tmp_path)


def test_a_listing_cannot_name_a_photo_outside_its_folder(folder: Path) -> None:
    _list(folder, [("../../street/photos/s.jpg", "Dress", "1")])
    with pytest.raises(BadDataset, match="not there"):
        datasets.read(folder / "clothing")
