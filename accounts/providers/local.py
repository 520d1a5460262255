"""Sign-ins by the shop itself: Django's passwords, and tokens by simplejwt.

An access token is short-lived and kept nowhere. A refresh token is known by its id, and can be used
once: whoever puts its id on the blacklist first gets the next pair. All pairs that follow from one
sign-in bear its id, and end together.
"""

from __future__ import annotations

import uuid
from typing import Any, TypeVar

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone
from rest_framework.exceptions import AuthenticationFailed
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.exceptions import ExpiredTokenError, TokenError
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken, Token

from accounts.errors import EmailTaken, ExpiredToken, InvalidToken, WrongPassword
from accounts.models import User
from accounts.providers import Tokens

T = TypeVar("T", bound=Token)

SIGN_IN = "sign_in"
"""A claim of both tokens: the id of the sign-in that they follow from."""


class Local:
    """See `Provider`."""

    resets_passwords = True

    def register(self, email: str, password: str) -> User:
        if User.objects.filter(Q(username__iexact=email) | Q(email__iexact=email)).exists():
            raise EmailTaken
        try:
            with transaction.atomic():
                return User.objects.create_user(email, email, password)
        except IntegrityError as error:  # somebody was faster
            raise EmailTaken from error

    def tokens_for(self, user: User) -> Tokens:
        return _tokens(user, str(uuid.uuid4()))

    @transaction.atomic
    def refresh(self, refresh: str) -> Tokens:
        token = _verified(RefreshToken, refresh)
        _locked(token[api_settings.USER_ID_CLAIM])
        owner = _owner(token)  # by the password, which nobody can change meanwhile
        _use_up(token)
        return _tokens(owner, _sign_in(token))

    @transaction.atomic
    def sign_out(self, refresh: str) -> None:
        token = _verified(RefreshToken, refresh)
        _locked(token[api_settings.USER_ID_CLAIM])
        _use_up(token)
        _end(token)

    @transaction.atomic
    def sign_out_by(self, access: str) -> None:
        token = _verified(AccessToken, access)
        _locked(token[api_settings.USER_ID_CLAIM])
        _end(token)

    def user_of(self, access: str) -> User:
        return _owner(_verified(AccessToken, access))

    def check_password(self, user: User, password: str) -> bool:
        return user.check_password(password)

    def change_password(self, user: User, current: str, new: str) -> None:
        if not user.check_password(current):
            raise WrongPassword
        user.set_password(new)
        user.save(update_fields=["password"])

    def may_forget(self) -> bool:
        return True

    def forget(self, user: User) -> None:
        OutstandingToken.objects.filter(user=user).delete()


def _verified(kind: type[T], token: str) -> T:
    """A token whose signature, kind, time and (if for refreshing) first use have been checked."""
    try:
        return kind(token)  # type: ignore[arg-type]  # the library's hint is wrong
    except ExpiredTokenError as error:
        raise ExpiredToken from error
    except TokenError as error:
        raise InvalidToken from error


def _tokens(user: User, sign_in: str) -> Tokens:
    """A new pair of a sign-in."""
    outstanding = OutstandingToken.objects.filter(user=user)
    outstanding.filter(expires_at__lt=timezone.now()).delete()
    refresh = RefreshToken.for_user(user)
    refresh[SIGN_IN] = sign_in
    # The library keeps the token as well, which is as good as a password: whose it is will do.
    outstanding.filter(jti=refresh["jti"]).update(token=sign_in)
    access = refresh.access_token  # takes the claims along
    lifetime = AccessToken.lifetime
    assert lifetime is not None
    return Tokens(user, str(access), str(refresh), int(lifetime.total_seconds()))


def _sign_in(token: Token) -> str:
    """The sign-in that a token follows from; of one from before there were such, itself."""
    return str(token.get(SIGN_IN) or token["jti"])


def _end(token: Token) -> None:
    """Refuse all refresh tokens of a token's sign-in from now on."""
    own = OutstandingToken.objects.filter(
        user=token[api_settings.USER_ID_CLAIM], token=_sign_in(token), blacklistedtoken=None
    )
    BlacklistedToken.objects.bulk_create(BlacklistedToken(token=row) for row in own)


def _locked(user: Any) -> None:
    """Lock a person, whose tokens nobody else gives out or ends until the transaction does."""
    if not User.objects.select_for_update().filter(pk=user).exists():
        raise InvalidToken


def _owner(token: Token) -> User:
    """Whose token it is, if their account is active and their password still the same."""
    try:
        owner = JWTAuthentication().get_user(token)
    except (AuthenticationFailed, ValueError) as error:
        raise InvalidToken from error
    assert isinstance(owner, User)
    return owner


def _use_up(token: RefreshToken) -> None:
    """Refuse the token from now on. Of several who do so at once, one succeeds."""
    listed: Any = token.blacklist()  # the library's hint is wrong: the row, and whether it is new
    if not listed[1]:
        raise InvalidToken
