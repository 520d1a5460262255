"""Who checks passwords and gives out tokens: the shop itself, or Supabase (`AUTH_PROVIDER`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from django.conf import settings
from django.utils.module_loading import import_string

from accounts.models import User

PROVIDERS = {
    "local": "accounts.providers.local.Local",
    "supabase": "accounts.providers.supabase.Supabase",
}


@dataclass(frozen=True, slots=True)
class Tokens:
    """What somebody who has signed in gets: each request carries the access token."""

    user: User
    access: str
    refresh: str
    expires_in: int
    """Seconds that the access token is good for."""


class Provider(Protocol):
    """All that differs between the two. Each raises what `accounts.errors` has for it."""

    resets_passwords: bool
    """Whether links for a new password come from us."""

    def register(self, email: str, password: str) -> User | None:
        """Add an account; None where its e-mail address has to be confirmed first."""

    def tokens_for(self, user: User) -> Tokens:
        """Tokens for somebody who has just registered, or whom a backend of ours has let in."""

    def refresh(self, refresh: str) -> Tokens:
        """New tokens for a refresh token, which is used up by it."""

    def sign_out(self, refresh: str) -> None:
        """End what was signed in with the tokens that this one belongs to, and nothing else."""

    def sign_out_by(self, access: str) -> None:
        """The same by an access token, for a client that shows no other."""

    def user_of(self, access: str) -> User:
        """Whose access token it is. Asks nobody else."""

    def change_password(self, user: User, current: str, new: str) -> None:
        """Set a new password for whoever knows the current one."""

    def check_password(self, user: User, password: str) -> bool:
        """Whether it is theirs."""

    def may_forget(self) -> bool:
        """Whether accounts can be deleted from here."""

    def forget(self, user: User) -> None:
        """Delete what the provider itself keeps of an account."""


def provider() -> Provider:
    """The provider that the shop has chosen."""
    found: Provider = import_string(PROVIDERS[settings.AUTH_PROVIDER])()
    return found
