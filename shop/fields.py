"""Columns whose text is not to be read in a copy of the database."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.db import models

if TYPE_CHECKING:
    CharField = models.CharField[str, str]
else:
    CharField = models.CharField


class EncryptedField(CharField):
    """A short text, encrypted by keys that follow from SECRET_KEY and SECRET_KEY_FALLBACKS.

    What was written in clear, before the column was encrypted, is read as it is: it begins with
    `clear`. What no key of ours can read, since SECRET_KEY has been changed, is read as "".
    """

    def __init__(self, *args: Any, clear: str = "", **options: Any) -> None:
        self.clear = clear
        super().__init__(*args, **options)

    def deconstruct(self) -> Any:
        name, path, args, options = super().deconstruct()
        return name, path, args, {**options, "clear": self.clear}

    def get_prep_value(self, value: Any) -> Any:
        text = super().get_prep_value(value)
        return text if text is None else keys().encrypt(text.encode()).decode()

    def from_db_value(self, value: str | None, *_: Any) -> str | None:
        if value is None or (self.clear and value.startswith(self.clear)):
            return value
        try:
            return keys().decrypt(value.encode()).decode()
        except InvalidToken:
            return ""


def keys() -> MultiFernet:
    """The key that is written with, which is the first, and those that are read with."""
    return MultiFernet(
        [Fernet(_key(secret)) for secret in [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]]
    )


def _key(secret: str) -> bytes:
    hkdf = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"fashionsim encrypted columns")
    return base64.urlsafe_b64encode(hkdf.derive(secret.encode()))
