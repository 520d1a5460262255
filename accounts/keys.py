"""API keys: made, recognised, revoked.

A key is 256 random bits, so a plain SHA-256 of it is as good as a slow hash is for a password.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets

from django.contrib.auth.models import Group
from django.db import transaction
from django.utils import timezone

from accounts import audit
from accounts.errors import InvalidKey
from accounts.models import ApiKey, ApiKeyQuerySet, User
from accounts.roles import MERCHANDISER

PREFIX = "fsk_"
"""By which people, and those who look for leaked keys, know what it is."""

SHOWN = 10
"""Characters of a key that are kept, to tell it from others: 6 of its 43 random ones."""


def make(
    name: str,
    *,
    may_search: bool,
    may_edit: bool,
    expires_at: dt.datetime | None = None,
    made_by: User | None = None,
) -> tuple[ApiKey, str]:
    """A new key, and its text: whoever asked is to be shown it now, for it is not kept."""
    text = PREFIX + secrets.token_urlsafe(32)
    with transaction.atomic():
        account = User(username=f"key {text[:SHOWN]} {name}")
        account.set_unusable_password()
        account.save()
        if may_edit:
            account.groups.add(Group.objects.get(name=MERCHANDISER))
        key = ApiKey.objects.create(
            name=name,
            account=account,
            beginning=text[:SHOWN],
            digest=_digest(text),
            may_search=may_search,
            may_edit=may_edit,
            expires_at=expires_at,
            made_by=made_by,
        )
    return key, text


def revoke(keys: ApiKeyQuerySet) -> int:
    """End keys, at once; gives how many had not been ended before."""
    ended = list(keys.filter(revoked_at=None))
    count = keys.revoke()
    now = timezone.now()
    audit.note_all(ended, audit.Action.UPDATE, lambda _: {"revoked_at": (None, now)})
    return count


def recognised(text: str) -> ApiKey:
    """The key of that text, with its account; raises InvalidKey if it is no longer good."""
    key = ApiKey.objects.live().select_related("account").filter(digest=_digest(text)).first()
    if key is None:
        raise InvalidKey
    key.note_use()
    return key


def is_program(account: User) -> bool:
    """Whether an account is a key's: no person's, who could look after what is kept for them."""
    return hasattr(account, "api_key")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
