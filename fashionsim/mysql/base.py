"""Django's MySQL backend, whose case-insensitive lookups disregard case.

Django leaves case to the column's collation. Ours is binary, so that "D-1" and "d-1" are two
references, as on SQLite; then its `icontains` would tell "Coat" from "coat".
"""

from __future__ import annotations

from django.db.backends.mysql import base

COLLATION = "utf8mb4_unicode_ci"


class DatabaseWrapper(base.DatabaseWrapper):
    operators = base.DatabaseWrapper.operators | {
        "iexact": f"LIKE %s COLLATE {COLLATION}",
        "icontains": f"LIKE %s COLLATE {COLLATION}",
        "istartswith": f"LIKE %s COLLATE {COLLATION}",
        "iendswith": f"LIKE %s COLLATE {COLLATION}",
    }
