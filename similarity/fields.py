"""Vectors in the database: float32 bytes, never JSON."""

from __future__ import annotations

from typing import Any

import numpy as np
from django.db import models
from numpy.typing import NDArray


class VectorField(models.BinaryField):  # type: ignore[type-arg]
    """A vector, shape (dim,), kept as its little-endian float32 bytes: 4 per dimension."""

    def from_db_value(self, value: bytes | None, *_: Any) -> NDArray[np.float32] | None:
        return None if value is None else np.frombuffer(value, dtype="<f4")

    def get_prep_value(self, value: Any) -> Any:
        return value if value is None else np.ascontiguousarray(value, dtype="<f4").tobytes()


class SumField(models.BinaryField):  # type: ignore[type-arg]
    """A sum of many vectors, shape (dim,), kept as its little-endian float64 bytes."""

    def from_db_value(self, value: bytes | None, *_: Any) -> NDArray[np.float64] | None:
        return None if value is None else np.frombuffer(value, dtype="<f8")

    def get_prep_value(self, value: Any) -> Any:
        return value if value is None else np.ascontiguousarray(value, dtype="<f8").tobytes()
