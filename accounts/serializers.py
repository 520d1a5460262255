"""Accounts as the API takes and shows them."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from rest_framework import serializers

from accounts import services
from accounts.models import Preferences, User
from accounts.providers import Tokens
from accounts.roles import role_of


def password_field(**options: Any) -> serializers.CharField:
    return serializers.CharField(
        max_length=128,
        trim_whitespace=False,
        write_only=True,
        style={"input_type": "password"},
        **options,
    )


def checked_password(password: str, user: User) -> str:
    """The password, if it is good enough for that person."""
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise serializers.ValidationError(error.messages) from error
    return password


class AccountSerializer(serializers.ModelSerializer[User]):
    """Whoever asks."""

    name = serializers.CharField(source="shown_name")
    email = serializers.CharField(help_text="Empty for an account that has none.")
    role = serializers.SerializerMethodField()

    class Meta:
        model = User
        fields = ("id", "name", "email", "role", "date_joined")
        read_only_fields = fields

    def get_role(self, user: User) -> str:
        """shopper, merchandiser, staff or administrator."""
        return role_of(user)


class PreferencesSerializer(serializers.ModelSerializer[Preferences]):
    """How somebody wants the shop to behave."""

    class Meta:
        model = Preferences
        fields = ("results", "detects", "keeps_history", "language", "theme", "contrast")

    def update(self, instance: Preferences, validated_data: dict[str, Any]) -> Preferences:
        return services.choose(instance.user, **validated_data)


class TokensSerializer(serializers.Serializer[Tokens]):
    """Send `access_token` with each request: `Authorization: Bearer ...`."""

    access_token = serializers.CharField(source="access")
    refresh_token = serializers.CharField(source="refresh", help_text="Good for one refresh.")
    token_type = serializers.CharField(default="bearer", read_only=True)
    expires_in = serializers.IntegerField(help_text="Seconds that the access token is good for.")
    account = AccountSerializer(source="user")


class RegistrationSerializer(serializers.Serializer[Any]):
    email = serializers.EmailField(max_length=services.MAX_EMAIL)
    password = password_field()

    def validate_email(self, email: str) -> str:
        return services.normalised(email)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        email = attrs["email"]
        try:
            checked_password(attrs["password"], User(username=email, email=email))
        except serializers.ValidationError as error:
            raise serializers.ValidationError({"password": error.detail}) from error
        return attrs


class UnconfirmedSerializer(serializers.Serializer[Any]):
    """An account whose address has to be confirmed before it can be used."""

    detail = serializers.CharField()


class SignInSerializer(serializers.Serializer[Any]):
    email = serializers.CharField(max_length=254, help_text="Or the user name.")
    password = password_field()


class RefreshSerializer(serializers.Serializer[Any]):
    refresh_token = serializers.CharField(max_length=4096)


class PasswordSerializer(serializers.Serializer[Any]):
    current_password = password_field()
    new_password = password_field()

    def validate_new_password(self, password: str) -> str:
        return checked_password(password, self.context["request"].user)


class ResetSerializer(serializers.Serializer[Any]):
    email = serializers.EmailField(max_length=254)


class NewPasswordSerializer(serializers.Serializer[Any]):
    """The link in the e-mail ends with /uid/token/."""

    uid = serializers.CharField(max_length=64)
    token = serializers.CharField(max_length=128)
    new_password = password_field()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        owner = services.owner_of_link(attrs["uid"])
        try:
            checked_password(attrs["new_password"], owner or User())
        except serializers.ValidationError as error:
            raise serializers.ValidationError({"new_password": error.detail}) from error
        return attrs


class DeletionSerializer(serializers.Serializer[Any]):
    password = password_field()
