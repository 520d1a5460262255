"""Products as rows of a sheet, CSV or XLSX: written so that reading gives the very same again."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from itertools import islice
from pathlib import Path
from typing import IO, Any

from django.core.exceptions import ValidationError
from django.db.models import Prefetch
from openpyxl import Workbook, load_workbook
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

from catalog.models import OriginalImage, Product, Size, Tag
from similarity.errors import Refused

TEXTS = ("name", "description", "url", "store", "brand", "currency", "listing_season")
NUMBERS = ("price", "rating")
CHOICES = ("sale_status", "waist_type", "season")
LISTS = {"tags": Tag, "sizes": Size}
PICTURES = "images"

COLUMNS = (
    "reference",
    "name",
    "description",
    "category",
    "brand",
    "price",
    "currency",
    "sale_status",
    "sizes",
    "tags",
    "season",
    "listing_season",
    "waist_type",
    "rating",
    "store",
    "url",
    PICTURES,
)
"""What a sheet may say of a product, by the names that its columns have when we write it."""

KNOWN_PICTURE = "picture:"
"""Before the identifier of a picture that the product has, and that came as a file."""

MOST_UNPACKED = 2**30
"""Bytes of an XLSX file's parts: it is a ZIP file of XML."""
MOST_CHARACTERS = 2**28
"""Of its sheet as CSV: what is written once in it may stand in any number of cells."""
AT_A_TIME = 500

ROWS_AT_ONCE = 5_000
"""Of an XLSX file, between two signs of life: some seconds' work."""

Cells = Mapping[str, str]


class BadSheet(Refused):
    """A file that is no sheet, with a sentence that says why."""

    status = 400
    code = "bad_sheet"


# --- Cells ----------------------------------------------------------------------------------

FORMULA = re.compile(r"'*[=+\-@\t\r]")
"""What a spreadsheet would take for a formula, and what looks like one that was made harmless."""


def guarded(text: str) -> str:
    """A text that no spreadsheet takes for a formula; `unguarded` gives it back."""
    return f"'{text}" if FORMULA.match(text) else text


def unguarded(text: str) -> str:
    return text[1:] if text.startswith("'") and FORMULA.match(text[1:]) else text


def joined(values: Iterable[str]) -> str:
    """Values in one cell, divided by |; a | of their own is written as \\|."""
    return "|".join(value.replace("\\", "\\\\").replace("|", "\\|") for value in values)


def divided(text: str) -> list[str]:
    """The values of a cell, without those that are empty."""
    parts = re.findall(r"(?:[^|\\]|\\.|\\$)+", text, re.DOTALL)
    values = (re.sub(r"\\([\\|])", r"\1", part).strip() for part in parts)
    return [value for value in values if value]


def cells_of(product: Product) -> dict[str, str]:
    """A product as a row; its category, tags, sizes and images have been read."""
    cells = {name: str(getattr(product, name)) for name in ("reference", *TEXTS, *CHOICES)}
    for name in NUMBERS:
        cells[name] = number_text(name, getattr(product, name))
    cells["category"] = product.category.name if product.category else ""
    for name in LISTS:
        cells[name] = joined(sorted(row.name for row in getattr(product, name).all()))
    cells[PICTURES] = joined(
        image.source_url or f"{KNOWN_PICTURE}{image.identifier}" for image in product.images.all()
    )
    return cells


def number_text(name: str, number: Decimal | None) -> str:
    """A number with as many decimals as its field has."""
    field: Any = Product._meta.get_field(name)
    return "" if number is None else f"{number:.{field.decimal_places}f}"


def with_all() -> Any:
    """Products with what a row tells of them: six queries for any number."""
    images = OriginalImage.objects.order_by("position", "pk")
    return (
        Product.objects.order_by("pk")
        .select_related("category")
        .prefetch_related("tags", "sizes", Prefetch("images", images))
    )


# --- Writing --------------------------------------------------------------------------------


def rows_of_all() -> Iterator[list[str]]:
    """All products, with a header."""
    yield list(COLUMNS)
    for product in with_all().iterator(AT_A_TIME):
        cells = cells_of(product)
        yield [guarded(cells[name]) for name in COLUMNS]


class _Echo:
    """Gives back what a writer of CSV writes."""

    def write(self, line: str) -> str:
        return line


def csv_lines() -> Iterator[str]:
    """All products as CSV, line by line; a mark at its start says to spreadsheets: UTF-8."""
    writer = csv.writer(_Echo())
    yield "\ufeff"
    for row in rows_of_all():
        yield writer.writerow(row)


def write_xlsx(file: IO[bytes]) -> None:
    """All products as XLSX. Control characters, which it cannot hold, are left out."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet("Products")
    for row in rows_of_all():
        sheet.append([ILLEGAL_CHARACTERS_RE.sub("", cell) for cell in row])
    book.save(file)


# --- Reading --------------------------------------------------------------------------------


def is_xlsx(name: str) -> bool:
    return Path(name).suffix.lower() == ".xlsx"


def as_csv(file: IO[bytes], each: Callable[[], None] = lambda: None) -> bytes:
    """An XLSX file's first sheet as CSV; raises BadSheet. Of formulas their values are read.

    `each` is called after every so many rows: hundreds of thousands take minutes.
    """
    out = io.StringIO()
    writer = csv.writer(out)
    for number, row in enumerate(_xlsx_rows(file), start=1):
        writer.writerow(row)
        if number % ROWS_AT_ONCE == 0:
            each()
        if out.tell() > MOST_CHARACTERS:
            raise BadSheet("It is too large. Send several.")
    return out.getvalue().encode()


def _xlsx_rows(file: IO[bytes]) -> Iterator[list[str]]:
    try:
        with zipfile.ZipFile(file) as parts:
            size = sum(part.file_size for part in parts.infolist())
        if size <= MOST_UNPACKED:
            file.seek(0)
            book = load_workbook(file, read_only=True, data_only=True, keep_links=False)
            for row in book.worksheets[0].iter_rows(values_only=True):
                yield [_text(cell) for cell in row]
    except Exception as error:  # whatever its reader stumbles over
        raise BadSheet("This is no XLSX file, or a damaged one.") from error
    if size > MOST_UNPACKED:
        raise BadSheet("Unpacked it is too large. Send several.")


def _text(value: Any) -> str:
    """A cell's value as somebody would type it."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def read_csv(data: IO[bytes]) -> Iterator[list[str]]:
    """Rows, the header first, divided by what divides the header most; raises BadSheet."""
    text = io.TextIOWrapper(data, encoding="utf-8-sig", newline="")
    try:
        header = text.readline()
        text.seek(0)
        rows = csv.reader(text, delimiter=max(",;\t|", key=header.count))
        for number, row in enumerate(rows, start=1):
            if any("\0" in cell for cell in row):  # which some databases cannot keep
                raise BadSheet(f"Row {number} holds a NUL character. Save it as CSV UTF-8 again.")
            yield row
    except UnicodeDecodeError as error:
        raise BadSheet("It is not written in UTF-8. Save it as CSV UTF-8, or as XLSX.") from error
    except csv.Error as error:
        raise BadSheet(f"It is no CSV file: {error}.") from error
    finally:
        with suppress(ValueError):  # whoever has opened the file has closed it
            text.detach()


def head(file: IO[bytes], name: str) -> list[str]:
    """The names of a sheet's columns; raises BadSheet."""
    read = _xlsx_rows if is_xlsx(name) else read_csv
    first = list(islice(read(file), 1))
    if not first or not any(cell.strip() for cell in first[0]):
        raise BadSheet("It is empty. The first row has to name the columns.")
    names = [cell.strip() for cell in first[0]]
    if any(name and names.count(name) > 1 for name in names):
        raise BadSheet("Two of its columns have one name.")
    return [name for name in names if name]


def guessed(names: Sequence[str]) -> dict[str, str]:
    """Which column is which, by their names: ours to theirs."""
    plain = {re.sub(r"\W+", "_", name.lower()).strip("_"): name for name in names}
    return {ours: plain[ours] for ours in COLUMNS if ours in plain}


# --- What a row says ------------------------------------------------------------------------


class BadCell(Exception):
    """What is wrong with a row, for whoever has written it."""


def details_of(cells: Cells) -> dict[str, Any]:
    """What a row says of its product, as `save_product` takes it; raises BadCell.

    An empty cell says that there is nothing, and for a choice what it is by default.
    """
    details: dict[str, Any] = {}
    for name, cell in cells.items():
        if name in READERS:
            details[name] = READERS[name](name, unguarded(cell).strip())
    return details


def reference_of(cells: Cells) -> str:
    """The reference of a row's product; raises BadCell if it has none."""
    if not (reference := unguarded(cells.get("reference", "")).strip()):
        raise BadCell("It has no reference.")
    return reference


def pictures_of(cells: Cells) -> list[str] | None:
    """What a row lists as pictures; None if its sheet has no column of them."""
    return divided(unguarded(cells[PICTURES])) if PICTURES in cells else None


def _plain(name: str, text: str) -> str:
    field: Any = Product._meta.get_field(name)
    return text or field.get_default() or ""


def _number(name: str, text: str) -> Decimal | None:
    if not text:
        return None
    try:
        return Decimal(text.replace(",", ".") if "." not in text else text)
    except InvalidOperation as error:
        raise BadCell(f"{name}: {text!r} is no number.") from error


def _choice(name: str, text: str) -> str:
    field: Any = Product._meta.get_field(name)
    known = {str(label).lower(): value for value, label in field.choices}
    known |= {value: value for value, _ in field.choices}
    if not text:
        return str(field.get_default())
    if text.lower() not in known:
        raise BadCell(f"{name}: {text!r} is none of {', '.join(dict(field.choices))}.")
    return str(known[text.lower()])


def _several(name: str, text: str) -> list[str]:
    values = divided(text)
    for value in values:
        try:
            LISTS[name](name=value).clean_fields()
        except ValidationError as error:
            raise BadCell(f"{name}: {' '.join(error.messages)}") from error
    return values


READERS: dict[str, Callable[[str, str], Any]] = {
    **dict.fromkeys(TEXTS, _plain),
    **dict.fromkeys(NUMBERS, _number),
    **dict.fromkeys(CHOICES, _choice),
    **dict.fromkeys(LISTS, _several),
    "category": lambda _, text: text,
}
