"""Vectors in PostgreSQL with the extension pgvector (https://github.com/pgvector/pgvector).

Everything lies in a schema of our own: a table for each collection, a list of them, and for each
space a view of the table that serves, which is what searches and updates go to. Replacing a view
is one moment, for every machine.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from typing import Any, TypeVar

import numpy as np

from similarity.engine.contracts import Categories, Keys, Vectors
from similarity.engine.errors import BrokenBuild, IndexUnavailable, NothingServes
from similarity.engine.indexes.live import (
    BATCH,
    CATEGORY,
    PREFIX,
    Kept,
    LiveService,
    categories_of,
    named,
)
from similarity.engine.weights import not_installed

Result = TypeVar("Result")

MOST_EF = 1000
"""pgvector takes no larger hnsw.ef_search."""

ITERATIVE = (0, 8)
"""The first version that goes on looking when a search has used up its ef_search."""

LISTED = f"""
CREATE TABLE IF NOT EXISTS {PREFIX}.collections (
    space text, name text, relation text NOT NULL, serves boolean NOT NULL DEFAULT false,
    PRIMARY KEY (space, name)
)"""


class PgvectorIndex(LiveService):
    """HNSW by cosine distance (Malkov and Yashunin, arXiv 1603.09320).

    `url` is a connection string of libpq's; `links` and `ef_build` are pgvector's m and
    ef_construction, `ef_search` its hnsw.ef_search (more for more than 10 neighbours).
    """

    def __init__(
        self,
        url: str = "",
        *,
        space: str = "",
        dim: int = 1,
        ef_search: int = 128,
        links: int = 16,
        ef_build: int = 64,
        timeout: float = 10,
    ) -> None:
        super().__init__(space, dim, ef_search, timeout)
        self.url, self.links, self.ef_build = url, links, ef_build
        self._local = threading.local()

    def missing(self) -> list[str]:
        """What must be put in place before first use, a sentence each; empty if nothing."""
        if lacking := not_installed("psycopg", requirements="engines.txt"):
            return lacking
        return [] if self.url else ["Set PGVECTOR_URL: postgresql://user:password@host/name"]

    def create(self, name: str) -> None:
        """As `LiveIndex.create`."""
        relation = "c_" + _digest(self.space, name)

        def make(cursor: Any) -> None:
            cursor.execute(
                f"CREATE TABLE {PREFIX}.{relation} "
                f"(key bigint PRIMARY KEY, embedding vector({self.dim}) NOT NULL, "
                f"{CATEGORY} bigint)"
            )
            # Vectors do not compress; uncompressed and in place they are read faster.
            cursor.execute(
                f"ALTER TABLE {PREFIX}.{relation} ALTER COLUMN embedding SET STORAGE PLAIN"
            )
            cursor.execute(
                f"INSERT INTO {PREFIX}.collections (space, name, relation) VALUES (%s, %s, %s)",
                (self.space, name, relation),
            )

        self._carry_out(make)

    def finish(self, name: str) -> None:
        """Build the graph: at once is several times as quick as vector by vector.

        What is of a rare category is found by an index of its own, and scanned.
        """
        relation = self._relation(name)

        def build(cursor: Any) -> None:
            # However long it takes; and alone, since parallel workers need shared memory
            # that containers rarely have.
            cursor.execute("SET LOCAL statement_timeout = 0")
            cursor.execute("SET LOCAL max_parallel_maintenance_workers = 0")
            cursor.execute(
                f"CREATE INDEX IF NOT EXISTS {relation.rpartition('.')[2]}_hnsw ON {relation} "
                f"USING hnsw (embedding vector_cosine_ops) "
                f"WITH (m = {self.links}, ef_construction = {self.ef_build})"
            )

            cursor.execute(
                f"CREATE INDEX IF NOT EXISTS {relation.rpartition('.')[2]}_{CATEGORY} "
                f"ON {relation} ({CATEGORY})"
            )

        self._carry_out(build)
        self._carry_out(lambda cursor: cursor.execute(f"ANALYZE {relation}"))

    def serve(self, name: str) -> None:
        """As `LiveIndex.serve`."""
        try:
            relation = self._relation(name)
        except NothingServes as error:
            raise BrokenBuild(f"There is no collection named {name!r}.") from error

        def switch(cursor: Any) -> None:
            self._show(cursor, relation)
            cursor.execute(
                f"UPDATE {PREFIX}.collections SET serves = (name = %s) WHERE space = %s",
                (name, self.space),
            )

        self._carry_out(switch)

    def serving(self) -> str | None:
        """As `LiveIndex.serving`."""
        return next(iter(self._names("AND serves")), None)

    def collections(self) -> list[str]:
        """As `LiveIndex.collections`."""
        return self._names("")

    def drop(self, name: str) -> None:
        """As `LiveIndex.drop`; the one that serves leaves nothing that serves."""
        with suppress(NothingServes):
            relation = self._relation(name)
            self._carry_out(lambda cursor: self._forget(cursor, name, relation))

    def stored(self, name: str | None) -> Iterator[tuple[Keys, Vectors]]:
        """As `LiveIndex.stored`."""
        for rows in self._by_key(name, "embedding"):
            yield self._arrays(rows)

    def categories(self, name: str | None) -> Iterator[tuple[Keys, Categories]]:
        """As `LiveIndex.categories`."""
        for rows in self._by_key(name, CATEGORY):
            yield (
                np.array([key for key, _ in rows], np.int64),
                categories_of(one for _, one in rows),
            )

    def count(self, name: str | None) -> int:
        """As `LiveIndex.count`."""
        return int(self._value(f"SELECT count(*) FROM {self._relation(name)}"))

    def size(self, name: str) -> int:
        """As `LiveIndex.size`: of the table with its indexes."""
        return int(self._value("SELECT pg_total_relation_size(%s)", self._relation(name)))

    def plan(self, query: Vectors, k: int, categories: Collection[int] | None = None) -> str:
        """How PostgreSQL would search for the k nearest."""

        def explain(cursor: Any) -> str:
            self._let_look_far(cursor, k)
            sql, values = self._nearest_sql(
                self._relation(None), query, k, Kept(None, categories), False
            )
            rows = cursor.execute(f"EXPLAIN {sql}", values, prepare=False).fetchall()
            return "\n".join(line for (line,) in rows)

        return self._carry_out(explain)

    def _by_key(self, name: str | None, column: str) -> Iterator[list[tuple[int, Any]]]:
        """All rows of a collection, each with one column, a batch at a time."""
        relation, after = self._relation(name), -(2**63)
        sql = f"SELECT key, {column} FROM {relation} WHERE key > %s ORDER BY key LIMIT {BATCH}"

        def read(cursor: Any) -> list[tuple[int, Any]]:
            rows: list[tuple[int, Any]] = cursor.execute(sql, (after,)).fetchall()
            return rows

        while rows := self._carry_out(read):
            yield rows
            after = rows[-1][0]

    def _add(self, name: str | None, keys: Keys, vectors: Vectors, categories: Categories) -> None:
        relation = self._relation(name)

        def upsert(cursor: Any) -> None:
            cursor.execute(
                f"CREATE TEMPORARY TABLE incoming (key bigint, embedding vector({self.dim}), "
                f"{CATEGORY} bigint) ON COMMIT DROP"
            )
            with cursor.copy("COPY incoming FROM STDIN WITH (FORMAT BINARY)") as copy:
                copy.set_types(["int8", "vector", "int8"])
                rows = zip(
                    keys.tolist(), np.ascontiguousarray(vectors), _sql(categories), strict=True
                )
                for row in rows:
                    copy.write_row(row)
            cursor.execute(
                f"INSERT INTO {relation} (key, embedding, {CATEGORY}) "
                f"SELECT key, embedding, {CATEGORY} FROM incoming ON CONFLICT (key) DO UPDATE "
                f"SET embedding = excluded.embedding, {CATEGORY} = excluded.{CATEGORY}"
            )

        self._carry_out(upsert)

    def _categorise(self, name: str | None, keys: Keys, categories: Categories) -> None:
        # A row that is written anew goes into the graph again: one that says so already is left.
        sql = (
            f"UPDATE {self._relation(name)} AS held SET {CATEGORY} = said.{CATEGORY} "
            f"FROM unnest(%s::bigint[], %s::bigint[]) AS said (key, {CATEGORY}) "
            f"WHERE held.key = said.key AND held.{CATEGORY} IS DISTINCT FROM said.{CATEGORY}"
        )
        values = (keys.tolist(), _sql(categories))
        self._carry_out(lambda cursor: cursor.execute(sql, values))

    def _remove(self, name: str | None, keys: Keys) -> None:
        sql = f"DELETE FROM {self._relation(name)} WHERE key = ANY(%s)"
        self._carry_out(lambda cursor: cursor.execute(sql, (keys.tolist(),)))

    def _candidates(
        self, name: str | None, query: Vectors, k: int, kept: Kept, exactly: bool
    ) -> tuple[Keys, Vectors]:
        relation = self._view if name is None else self._relation(name)

        def look(cursor: Any) -> Any:
            if not exactly:
                self._let_look_far(cursor, k)
            sql, values = self._nearest_sql(relation, query, k, kept, exactly)
            return cursor.execute(sql, values).fetchall()

        return self._arrays(self._carry_out(look))

    @staticmethod
    def _nearest_sql(
        relation: str, query: Vectors, k: int, kept: Kept, exactly: bool
    ) -> tuple[str, list[Any]]:
        asked: list[tuple[str, Any]] = []
        if kept.among is not None:
            asked.append(("key = ANY(%s)", kept.among.tolist()))
        if kept.categories is not None:
            asked.append((f"{CATEGORY} = ANY(%s)", list(kept.categories)))
        where = " AND ".join(condition for condition, _ in asked) or "true"
        # The graph serves `ORDER BY column <=> value LIMIT`, and nothing that differs from it.
        order = "(embedding <=> %s) + 0, key" if exactly else "embedding <=> %s"
        sql = f"SELECT key, embedding FROM {relation} WHERE {where} ORDER BY {order} LIMIT {k}"
        return sql, [*(values for _, values in asked), query]

    def _let_look_far(self, cursor: Any, k: int) -> None:
        effort = min(MOST_EF, max(self.ef_search, 2 * k))
        cursor.execute(f"SET LOCAL hnsw.ef_search = {effort}")
        if self._local.version >= ITERATIVE:
            cursor.execute("SET LOCAL hnsw.iterative_scan = strict_order")

    def _arrays(self, rows: list[tuple[int, Any]]) -> tuple[Keys, Vectors]:
        keys = np.array([key for key, _ in rows], np.int64)
        vectors = np.array([vector.to_numpy() for _, vector in rows], np.float32)
        return keys, vectors.reshape(len(rows), self.dim)

    @property
    def _view(self) -> str:
        return f"{PREFIX}.s_{_digest(self.space)}"

    def _relation(self, name: str | None) -> str:
        which, values = ("serves", ()) if name is None else ("name = %s", (name,))
        sql = f"SELECT relation FROM {PREFIX}.collections WHERE space = %s AND {which}"
        relation = self._value(sql, self.space, *values)
        if relation is None:
            raise NothingServes(f"pgvector has no collection to search in for {self.space}.")
        return f"{PREFIX}.{relation}"

    def _show(self, cursor: Any, relation: str) -> None:
        cursor.execute(
            f"CREATE OR REPLACE VIEW {self._view} AS "
            f"SELECT key, embedding, {CATEGORY} FROM {relation}"
        )

    def _names(self, condition: str) -> list[str]:
        sql = f"SELECT name FROM {PREFIX}.collections WHERE space = %s {condition} "
        sql += "ORDER BY name DESC"
        rows = self._carry_out(lambda cursor: cursor.execute(sql, (self.space,)).fetchall())
        return [name for (name,) in rows]

    def _forget(self, cursor: Any, name: str, relation: str) -> None:
        cursor.execute(
            f"DELETE FROM {PREFIX}.collections WHERE space = %s AND name = %s RETURNING serves",
            (self.space, name),
        )
        if cursor.fetchone()[0]:
            cursor.execute(f"DROP VIEW {self._view}")
        cursor.execute(f"DROP TABLE {relation}")

    def _value(self, sql: str, *values: Any) -> Any:
        row = self._carry_out(lambda cursor: cursor.execute(sql, values).fetchone())
        return None if row is None else row[0]

    def _carry_out(self, step: Callable[[Any], Result]) -> Result:
        """Carry out a step in a transaction; once more if the connection was lost meanwhile."""
        import psycopg

        for is_last in (False, True):
            try:
                connection = self._connection()
                with connection.transaction(), connection.cursor() as cursor:
                    return step(cursor)
            except psycopg.errors.UndefinedTable as error:
                raise NothingServes(f"pgvector has no vectors of {self.space} yet.") from error
            except psycopg.Error as error:
                is_lost = isinstance(error, psycopg.OperationalError) and error.sqlstate is None
                self._close()
                if is_last or not is_lost:
                    raise IndexUnavailable(f"pgvector does not answer: {error}") from error
        raise AssertionError

    def _connection(self) -> Any:
        """This thread's connection: never one of before a fork."""
        if getattr(self._local, "process", None) != os.getpid():
            self._local.connection = self._connected()
            self._local.process = os.getpid()
        return self._local.connection

    def _connected(self) -> Any:
        import psycopg
        from pgvector.psycopg import register_vector

        connection = psycopg.connect(
            self.url,
            autocommit=True,
            connect_timeout=max(2, round(self.timeout)),
            prepare_threshold=None,  # a pool of connections between us may not know them
            options=f"-c statement_timeout={round(1000 * self.timeout)}",
        )
        with connection.cursor() as cursor:
            cursor.execute("CREATE EXTENSION IF NOT EXISTS vector")
            cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {PREFIX}")
            cursor.execute(LISTED)
            self._give_categories(cursor)
            cursor.execute("SELECT extversion FROM pg_extension WHERE extname = 'vector'")
            row = cursor.fetchone()
            assert row is not None
            self._local.version = tuple(int(part) for part in row[0].split(".")[:2])
        register_vector(connection)
        return connection

    def _give_categories(self, cursor: Any) -> None:
        """Tables of before vectors had categories get the column; each is of none there."""
        cursor.execute(
            f"SELECT '{PREFIX}.' || relation, serves FROM {PREFIX}.collections "
            f"WHERE space = %s AND NOT EXISTS (SELECT FROM pg_attribute WHERE "
            f"attrelid = to_regclass('{PREFIX}.' || relation) AND attname = '{CATEGORY}')",
            (self.space,),
        )
        for relation, serves in cursor.fetchall():
            cursor.execute(f"ALTER TABLE {relation} ADD COLUMN IF NOT EXISTS {CATEGORY} bigint")
            if serves:
                self._show(cursor, relation)

    def _close(self) -> None:
        self._local.process = None
        if connection := getattr(self._local, "connection", None):
            connection.close()


def _sql(categories: Categories) -> list[int | None]:
    return [named(one) for one in categories.tolist()]


def _digest(*names: str) -> str:
    """What stands for names of any length and letters in an identifier."""
    return hashlib.sha256("\0".join(names).encode()).hexdigest()[:24]
