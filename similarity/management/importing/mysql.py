"""The tables of a Flask service that this product takes the place of, in MySQL or MariaDB.

`splitted_images` has a garment's crop in each row (the photo that it was cut from was never kept),
with a vector as a list of numbers in JSON. `image_details` has the product, by the photo's id.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import cache, partial
from typing import Any

import numpy as np
from django.core.management.base import CommandError
from environ import Env

from catalog.models import Product
from similarity import backends, serving
from similarity.engine import Vectors
from similarity.engine.errors import BadImage
from similarity.engine.images import decode_base64, read_image
from similarity.management.importing import Picture, Row

SAMPLE = 8
"""Crops that are embedded here to find out whether the vectors are of the same model."""

SAME = 0.999
"""Cosine from which a vector is taken for one that this embedder would give."""

DETAILS = {
    "store_name": "store",
    "brand": "brand",
    "product_name": "name",
    "store_description": "description",
    "url": "url",
    "listing_season": "listing_season",
}
"""Columns of image_details that are plain text here as well."""

LISTED = {"tags": "tags", "size": "sizes"}
"""Those that hold a list in JSON."""

CHOSEN: dict[str, Any] = {
    "sale_status": Product.SaleStatus,
    "waist_type": Product.Waist,
    "season": Product.Season,
}
"""Those that were free text, and are a choice here."""

OTHER_WORDS = {
    "on_sale": "sale", "discount": "sale", "discounted": "sale",
    "normal": "regular", "in_stock": "regular", "full_price": "regular", "not_on_sale": "regular",
    "soldout": "sold_out", "out_of_stock": "sold_out",
    "fall": "autumn", "all": "all_year", "all_season": "all_year", "all_seasons": "all_year",
    "high_waist": "high", "high_rise": "high", "mid_waist": "mid", "mid_rise": "mid",
    "medium": "mid", "low_waist": "low", "low_rise": "low",
}  # fmt: skip


class OldTables:
    """The garments of such a database, with their products. Only ever reads."""

    cut_out_by = "imported"

    def __init__(self, url: str) -> None:
        self.url = url
        self.vectors = "none are there"
        """What becomes of the vectors, and why."""

    def rows(self) -> Iterator[Row]:
        """The details of all products first, then the crops in the order they came in."""
        crops = _crops(self.url)
        details = {str(row["image_id"]): row for row in _query(self.url, "image_details")}
        for key, old in details.items():
            yield _details(key, old)
        trusted = self._may_trust()
        for pk, name, original in crops:
            vector = partial(vector_of, self.url, pk) if trusted else None
            yield Row(
                name,
                {"reference": original} if original in details else {},
                [Picture(name, partial(crop_of, self.url, pk), vector, former=(pk, name[:200]))],
            )

    def _may_trust(self) -> bool:
        """Whether the vectors are what this embedder gives: found out by embedding some crops."""
        sql = "SELECT id FROM splitted_images WHERE vector IS NOT NULL AND vector <> '' ORDER BY id"
        pks = [pk for (pk,) in _fetch(self.url, sql)]
        if not pks:
            return False
        places = np.unique(np.linspace(0, len(pks) - 1, SAMPLE).astype(int))
        cosines = [
            cosine for place in places if (cosine := _agreement(self.url, pks[place])) is not None
        ]
        agree = bool(cosines) and len(cosines) > len(places) // 2 and min(cosines) >= SAME
        if agree:
            self.vectors = f"taken over: {len(cosines)} crops embedded here agree"
        else:
            self.vectors = "made anew: those that are there are of another model"
        return agree


def _agreement(url: str, pk: int) -> float | None:
    """The cosine of a row's vector with its crop's, embedded here; None if its crop is no good.

    0 for a vector of another length.
    """
    try:
        crop = read_image(crop_of(url, pk), backends.limits())
    except BadImage:
        return None
    vector = vector_of(url, pk)
    return 0.0 if vector is None else float(vector @ serving.backend().embed([crop])[0])


def crop_of(url: str, pk: int) -> bytes:
    """The bytes of a row's picture; one of its routes stored them as base64."""
    sql = "SELECT splitted_image_data FROM splitted_images WHERE id = %s"
    data = bytes(_fetch(url, sql, [pk])[0][0] or b"")
    try:
        return decode_base64(data.decode("ascii"), backends.limits())
    except (UnicodeDecodeError, BadImage):
        return data  # a picture as it should be; if it is none, the intake says so


def vector_of(url: str, pk: int) -> Vectors | None:
    """A row's vector at length 1; None if it is no vector of the serving embedder's length."""
    text = _fetch(url, "SELECT vector FROM splitted_images WHERE id = %s", [pk])[0][0]
    try:
        vector = np.asarray(json.loads(text), np.float64)
    except (TypeError, ValueError):
        return None
    length = np.linalg.norm(vector)
    if vector.shape != (serving.backend().dim,) or not np.isfinite(length) or length == 0:
        return None
    return np.asarray(vector / length, np.float32)


def _details(key: str, old: dict[str, Any]) -> Row:
    """A product's row."""
    row = Row(f"image_details {key}", {"reference": key})
    for column, name in DETAILS.items():
        if text := str(old.get(column) or "").strip():
            row.details[name] = text
    row.details.setdefault("name", key)
    if old.get("rating") is not None:
        row.details["rating"] = f"{float(old['rating']):.1f}"
    for column, name in LISTED.items():
        _note(row, name, old.get(column), _listed)
    for column, choices in CHOSEN.items():
        _note(row, column, old.get(column), partial(_chosen, choices))
    return row


def _note(row: Row, name: str, value: Any, read: Callable[[Any], Any]) -> None:
    """Add a detail to a row, or what is wrong with it."""
    if value in {None, ""}:
        return
    try:
        row.details[name] = read(value)
    except ValueError:
        row.problems.append(f"{name}: {str(value)[:100]!r} means nothing here, and is left out.")


def _listed(text: str) -> list[str]:
    values = json.loads(text)
    if not isinstance(values, list):
        raise ValueError  # noqa: TRY004  (as `json.loads` does: the text is at fault)
    return [str(value) for value in values]


def _chosen(choices: Any, text: str) -> str:
    word = "_".join(str(text).lower().replace("-", " ").split())
    return str(choices(OTHER_WORDS.get(word, word)))


# --- The database ---------------------------------------------------------------------------


@cache
def _connection(url: str) -> Any:
    """This process's connection to a database, which it does not write to."""
    try:
        import MySQLdb  # noqa: PLC0415  (a shop on SQLite has no such driver)
    except ImportError as error:
        raise CommandError(
            "There is no MySQL driver. Run: pip install -r requirements/services.txt"
        ) from error
    parts = Env.db_url_config(url)
    if parts.get("ENGINE") != "django.db.backends.mysql" or not parts["NAME"]:
        raise CommandError("The database must be given as mysql://user:password@host:3306/name.")
    try:
        connection = MySQLdb.connect(
            host=parts["HOST"] or "127.0.0.1",
            port=int(parts["PORT"] or 3306),
            user=parts["USER"],
            password=parts["PASSWORD"],
            database=parts["NAME"],
            charset="utf8mb4",
        )
        with closing(connection.cursor()) as cursor:
            cursor.execute("SET SESSION TRANSACTION READ ONLY")
    except MySQLdb.Error as error:
        raise CommandError(f"The database cannot be opened: {error}") from error
    connection.autocommit(True)  # each row as it is when it is read, and no lock held for hours
    return connection


def _fetch(url: str, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    with closing(_connection(url).cursor()) as cursor:
        cursor.execute(sql, values)
        return list(cursor.fetchall())


def _query(url: str, table: str) -> list[dict[str, Any]]:
    """All rows of a small table; none if there is no such table."""
    if not _fetch(url, "SHOW TABLES LIKE %s", [table]):
        return []
    with closing(_connection(url).cursor()) as cursor:
        cursor.execute(f"SELECT * FROM {table} ORDER BY 1")  # noqa: S608  (our own word)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _crops(url: str) -> list[tuple[int, str, str]]:
    """The keys and ids of all crops, without the crops."""
    if not _fetch(url, "SHOW TABLES LIKE 'splitted_images'"):
        raise CommandError("The database has no table splitted_images.")
    sql = "SELECT id, splitted_image_id, original_image_id FROM splitted_images ORDER BY id"
    return [(pk, str(name), str(original)) for pk, name, original in _fetch(url, sql)]
