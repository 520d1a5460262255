"""Queries whose SQL is composed once.

Django composes the SQL of a query whenever it is asked. For the small ones of every search, which
differ in nothing but their keys, that takes several times as long as the database's answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, count
from typing import Any

from django.db import connection
from django.db.models import QuerySet
from django.db.models.sql import Query

Given = int | Sequence[int]
Shape = tuple[int | None, ...]
"""The length of each list that is given; None for a single integer."""


class Prepared:
    """A query by integers, which is asked again and again with others.

    `query` makes it, as `values_list` rows, of what is given: integers, and lists of integers
    for an `__in`. It has to use each of them once, and no other values.
    """

    def __init__(self, query: Callable[..., QuerySet[Any, Any]]) -> None:
        self._query = query
        self._composed: dict[Shape, _Composed] = {}

    def __call__(self, *given: Given) -> list[Sequence[Any]]:
        """The rows that there are for what is given; none if one of its lists is empty."""
        shape = tuple(None if isinstance(value, int) else len(value) for value in given)
        if 0 in shape:
            return []
        if shape not in self._composed:
            self._composed[shape] = self._compose(shape)
        return self._composed[shape].rows(_flat(given))

    def _compose(self, shape: Shape) -> _Composed:
        numbers = count()
        stand_ins = [
            next(numbers) if size is None else [next(numbers) for _ in range(size)]
            for size in shape
        ]
        query = self._query(*stand_ins).query
        compiler = query.get_compiler(connection=connection)
        sql, places = compiler.as_sql()
        if len(places) != next(numbers) or set(places) != set(_flat(stand_ins)):
            raise ValueError(f"It does not use just what is given, each once: {sql}")
        return _Composed(query, sql, list(places), [column for column, *_ in compiler.select])


@dataclass(frozen=True, slots=True)
class _Composed:
    """What Django makes of a query. Nothing in it depends on the rows that there are."""

    query: Query
    sql: str
    places: list[int]
    """Which of the integers given is meant by each placeholder."""
    columns: list[Any]

    def rows(self, integers: list[int]) -> list[Sequence[Any]]:
        with connection.cursor() as cursor:
            cursor.execute(self.sql, [integers[place] for place in self.places])
            rows = cursor.fetchall()
        compiler = self.query.get_compiler(connection=connection)
        converters = compiler.get_converters(self.columns)
        return list(compiler.apply_converters(rows, converters) if converters else rows)


def composed_once(
    query: Callable[[Sequence[int]], QuerySet[Any, Any]],
) -> Callable[[Sequence[int]], list[Sequence[Any]]]:
    """A query by a list of keys that is asked several times, composed when it is asked first.

    `query` makes it, as `values_list` rows, of the keys for one `pk__in`. Unlike with `Prepared`
    it may hold other values, which are the same each time.
    """
    made: list[_ByKeys] = []

    def rows(keys: Sequence[int]) -> list[Sequence[Any]]:
        if keys and not made:
            made.append(_ByKeys.of(query))
        return made[0].rows(keys) if keys else []

    return rows


STAND_IN = -(2**62) - 1
"""A key that no row has, and no filter asks for."""


@dataclass(frozen=True, slots=True)
class _ByKeys:
    """A query composed with one key, to be asked with any number of them."""

    query: Query
    sql: tuple[str, str]
    """What stands before and after the key's placeholder."""
    values: tuple[list[Any], list[Any]]
    columns: list[Any]

    @classmethod
    def of(cls, make: Callable[[Sequence[int]], QuerySet[Any, Any]]) -> _ByKeys:
        query = make([STAND_IN]).query
        compiler = query.get_compiler(connection=connection)
        sql, values = compiler.as_sql()
        place = list(values).index(STAND_IN)
        parts = sql.split("%s")  # a literal % is doubled
        return cls(
            query,
            ("%s".join(parts[: place + 1]), "%s".join(parts[place + 1 :])),
            (list(values[:place]), list(values[place + 1 :])),
            [column for column, *_ in compiler.select],
        )

    def rows(self, keys: Sequence[int]) -> list[Sequence[Any]]:
        sql = ", ".join(["%s"] * len(keys)).join(self.sql)
        with connection.cursor() as cursor:
            cursor.execute(sql, [*self.values[0], *keys, *self.values[1]])
            rows = cursor.fetchall()
        compiler = self.query.get_compiler(connection=connection)
        converters = compiler.get_converters(self.columns)
        return list(compiler.apply_converters(rows, converters) if converters else rows)


def _flat(given: Sequence[Given]) -> list[int]:
    return list(chain.from_iterable([v] if isinstance(v, int) else v for v in given))
