"""What people ask for about their accounts. The pages and the API call the same."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.auth import authenticate, update_session_auth_hash
from django.contrib.auth.forms import PasswordResetForm
from django.contrib.auth.models import AnonymousUser
from django.contrib.auth.signals import user_logged_in
from django.contrib.auth.tokens import default_token_generator
from django.db import transaction
from django.http import HttpRequest
from django.utils.http import urlsafe_base64_decode
from django.utils.translation import gettext_lazy as _

from accounts.errors import BadLink, NotOffered, WrongCredentials, WrongPassword
from accounts.models import Preferences, User
from accounts.providers import Tokens, provider

MAX_EMAIL = 150
"""An address serves as the user name, which may be as long as that."""


def normalised(email: str) -> str:
    """An address as accounts are known by it: people do not tell Sam@ from sam@."""
    return email.strip().lower()


def register(email: str, password: str) -> User | None:
    """Add a shopper's account; None where its address has to be confirmed first.

    Nobody chooses a role. Raises EmailTaken, ProviderDown.
    """
    return provider().register(normalised(email), password)


def sign_in(request: HttpRequest, name: str, password: str) -> Tokens:
    """Tokens for a name, or an e-mail address, and its password.

    Raises WrongCredentials, Unconfirmed, ProviderDown. Who tries too often gets no answer of ours
    but that of axes's middleware.
    """
    user = authenticate(request, username=name, password=password)
    if not isinstance(user, User):
        raise WrongCredentials
    tokens = provider().tokens_for(user)
    user_logged_in.send(sender=User, request=request, user=user)
    return tokens


def change_password(request: HttpRequest, user: User, current: str, new: str) -> None:
    """Set a new password. All sign-ins with the old one end, but for the session that asks.

    Raises WrongPassword, ProviderDown.
    """
    provider().change_password(user, current, new)
    if request.session.session_key:
        update_session_auth_hash(request, user)


def offers_reset() -> bool:
    """Whether a forgotten password is our business."""
    return provider().resets_passwords


def start_reset(request: HttpRequest, email: str) -> None:
    """Send a link for a new password to an address that has an account; raises NotOffered.

    Whether it has one is not told.
    """
    if not offers_reset():
        raise NotOffered
    form = PasswordResetForm({"email": email})
    if form.is_valid():
        form.save(
            request=request,
            use_https=request.is_secure(),
            subject_template_name="account/reset_subject.txt",
            email_template_name="account/reset_email.txt",
        )


def finish_reset(uid: str, token: str, new: str) -> None:
    """Set a new password by what the link in the e-mail holds; raises BadLink, NotOffered."""
    if not offers_reset():
        raise NotOffered
    user = owner_of_link(uid)
    if user is None or not default_token_generator.check_token(user, token):
        raise BadLink
    user.set_password(new)
    user.save(update_fields=["password"])


def owner_of_link(uid: str) -> User | None:
    """Whose password a link is for."""
    try:
        key = int(urlsafe_base64_decode(uid))
    except (ValueError, OverflowError):
        return None
    return User.objects.filter(pk=key, is_active=True).first()


def preferences_of(person: User | AnonymousUser | None) -> Preferences:
    """How somebody wants things; what nobody has chosen, and a stranger's, is as it usually is.

    The row is read once per `person`; one that there is not is not saved by this.
    """
    if not isinstance(person, User):
        return Preferences()
    return getattr(person, "preferences", None) or Preferences(user=person)


def choose(person: User, **wishes: Any) -> Preferences:
    """Change what somebody wants; what is not named stays as it is."""
    chosen, _ = Preferences.objects.update_or_create(user=person, defaults=wishes)
    person.preferences = chosen
    return chosen


def delete_account(user: User, password: str) -> None:
    """Delete an account and all that is its owner's.

    What other apps keep of a person goes with the row, by their own rules. Raises WrongPassword,
    NotOffered, ProviderDown.
    """
    chosen = provider()
    if not chosen.may_forget():
        raise NotOffered(_("Ask the shop to delete your account."))
    if not chosen.check_password(user, password):
        raise WrongPassword
    # There first: if that fails, nothing has happened.
    chosen.forget(user)
    with transaction.atomic():
        user.delete()


def sweep() -> None:
    """Delete the pages' sessions that have expired."""
    import_module(settings.SESSION_ENGINE).SessionStore.clear_expired()
