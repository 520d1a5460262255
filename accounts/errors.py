"""What can go wrong when somebody says who they are; the API turns each into a problem detail."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _
from rest_framework.exceptions import APIException, AuthenticationFailed


class WrongCredentials(AuthenticationFailed):
    default_code = "wrong_credentials"
    default_detail = _("The name and the password do not go together.")


class WrongPassword(APIException):
    """Somebody who has signed in does not know their own password."""

    status_code = 403
    default_code = "wrong_password"
    default_detail = _("This is not your password.")


class InvalidToken(AuthenticationFailed):
    """A token that is forged, of another shop, used up, or of an account that has gone."""

    default_code = "invalid_token"
    default_detail = _("The token is not valid here, or no longer. Sign in again.")


class ExpiredToken(InvalidToken):
    default_code = "token_expired"
    default_detail = _("The token has expired. Refresh it, or sign in again.")


class InvalidKey(AuthenticationFailed):
    default_code = "invalid_key"
    default_detail = _("There is no such API key, or it has expired or been revoked.")


class Unconfirmed(APIException):
    status_code = 403
    default_code = "email_not_confirmed"
    default_detail = _("The e-mail address is not confirmed yet. Follow the link in the e-mail.")


class BadLink(APIException):
    """Of an e-mail to reset a password: too old, used, or made up."""

    status_code = 400
    default_code = "bad_link"
    default_detail = _("The link has been used, or is too old. Ask for another.")


class EmailTaken(APIException):
    status_code = 409
    default_code = "email_taken"
    default_detail = _("There is an account with this e-mail address.")


class NotOffered(APIException):
    """Something that this shop's provider of sign-ins leaves to others."""

    status_code = 409
    default_code = "not_offered"
    default_detail = _("The shop does not offer this here.")


class ProviderDown(APIException):
    """Who checks the passwords cannot be reached, or answers what nobody understands."""

    status_code = 503
    default_code = "sign_in_unavailable"
    default_detail = _("Signing in does not work at the moment. Try again in a minute.")
