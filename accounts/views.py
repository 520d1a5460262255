"""Accounts over REST."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from accounts import services
from accounts.models import User
from accounts.permissions import IsPerson
from accounts.providers import provider
from accounts.serializers import (
    AccountSerializer,
    DeletionSerializer,
    NewPasswordSerializer,
    PasswordSerializer,
    PreferencesSerializer,
    RefreshSerializer,
    RegistrationSerializer,
    ResetSerializer,
    SignInSerializer,
    TokensSerializer,
    UnconfirmedSerializer,
)
from accounts.throttles import RequestThrottle, SignInThrottle

GUARDED = [RequestThrottle, SignInThrottle]
"""Of what can be guessed, or makes accounts or e-mails."""

NOTHING = OpenApiResponse(description="Done.")


class AuthView(APIView):
    """For whoever has still to show who they are: an old token that comes along does no harm."""

    permission_classes: Any = [AllowAny]
    authentication_classes: Any = []

    def get_authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="api"'

    def asked(self, kind: type[Serializer[Any]]) -> Any:
        """The request's data, checked."""
        serializer = kind(data=self.request.data, context={"request": self.request})
        serializer.is_valid(raise_exception=True)
        return serializer.validated_data


class PersonView(AuthView):
    """For whoever has signed in."""

    permission_classes = [IsPerson]
    authentication_classes = APIView.authentication_classes

    @property
    def person(self) -> User:
        assert isinstance(self.request.user, User)
        return self.request.user


class RegisterView(AuthView):
    throttle_classes = GUARDED

    @extend_schema(
        request=RegistrationSerializer,
        responses={201: TokensSerializer, 202: UnconfirmedSerializer},
    )
    def post(self, request: Request) -> Response:
        """Add an account, a shopper's. 202: its e-mail address has to be confirmed first."""
        user = services.register(**self.asked(RegistrationSerializer))
        if user is None:
            return Response({"detail": "Follow the link in the e-mail, then sign in."}, 202)
        return Response(TokensSerializer(provider().tokens_for(user)).data, 201)


class SignInView(AuthView):
    throttle_classes = GUARDED

    @extend_schema(request=SignInSerializer, responses=TokensSerializer)
    def post(self, request: Request) -> Response:
        """Tokens for a name and its password."""
        asked = self.asked(SignInSerializer)
        tokens = services.sign_in(request._request, asked["email"], asked["password"])
        return Response(TokensSerializer(tokens).data)


class RefreshView(AuthView):
    @extend_schema(request=RefreshSerializer, responses=TokensSerializer)
    def post(self, request: Request) -> Response:
        """New tokens for a refresh token, which is used up by it."""
        tokens = provider().refresh(self.asked(RefreshSerializer)["refresh_token"])
        return Response(TokensSerializer(tokens).data)


class SignOutView(AuthView):
    @extend_schema(request=RefreshSerializer, responses={204: NOTHING})
    def post(self, request: Request) -> Response:
        """Sign out here, and nowhere else. The access token goes on until it expires."""
        provider().sign_out(self.asked(RefreshSerializer)["refresh_token"])
        return Response(status=204)


class ResetView(AuthView):
    throttle_classes = GUARDED

    @extend_schema(request=ResetSerializer, responses={202: NOTHING})
    def post(self, request: Request) -> Response:
        """Have a link for a new password sent, if the address has an account; that is not told."""
        services.start_reset(request._request, self.asked(ResetSerializer)["email"])
        return Response(status=202)


class NewPasswordView(AuthView):
    throttle_classes = GUARDED

    @extend_schema(request=NewPasswordSerializer, responses={204: NOTHING})
    def post(self, request: Request) -> Response:
        """Set a new password by what the link in the e-mail holds."""
        asked = self.asked(NewPasswordSerializer)
        services.finish_reset(asked["uid"], asked["token"], asked["new_password"])
        return Response(status=204)


class AccountView(PersonView):
    @extend_schema(responses=AccountSerializer)
    def get(self, request: Request) -> Response:
        """Who asks, and what role they have."""
        return Response(AccountSerializer(self.person).data)


class PreferencesView(PersonView):
    @extend_schema(responses=PreferencesSerializer)
    def get(self, request: Request) -> Response:
        """How whoever asks wants the shop to behave."""
        return Response(PreferencesSerializer(services.preferences_of(self.person)).data)

    @extend_schema(request=PreferencesSerializer, responses=PreferencesSerializer)
    def patch(self, request: Request) -> Response:
        """Change what is named; it acts from now on."""
        chosen = PreferencesSerializer(
            services.preferences_of(self.person), data=request.data, partial=True
        )
        chosen.is_valid(raise_exception=True)
        return Response(PreferencesSerializer(chosen.save()).data)


class PasswordView(PersonView):
    throttle_classes = GUARDED

    @extend_schema(request=PasswordSerializer, responses={204: NOTHING})
    def post(self, request: Request) -> Response:
        """Change the password. Whatever was signed in with the old one has to sign in again."""
        asked = self.asked(PasswordSerializer)
        services.change_password(
            request._request, self.person, asked["current_password"], asked["new_password"]
        )
        return Response(status=204)


class DeletionView(PersonView):
    throttle_classes = GUARDED

    @extend_schema(request=DeletionSerializer, responses={204: NOTHING})
    def post(self, request: Request) -> Response:
        """Delete the account, and all that is its owner's."""
        services.delete_account(self.person, self.asked(DeletionSerializer)["password"])
        return Response(status=204)
