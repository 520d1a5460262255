"""Who asks: a person who signs in."""

from __future__ import annotations

from django.contrib.auth.models import AbstractUser


class User(AbstractUser):
    """A shopper, unless a group (`accounts.roles`) makes a merchandiser or staff of them."""
