"""Accounts as the pages ask for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.password_validation import validate_password
from django.utils.translation import gettext_lazy as _
from rest_framework.exceptions import APIException

from accounts import services
from accounts.models import Enquiry, Preferences, User

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise as StrOrPromise


class SignInForm(AuthenticationForm):
    """Says so, where the password could not even be checked."""

    problem: APIException | None = None

    def clean(self) -> dict[str, Any]:
        try:
            return super().clean()
        except APIException as error:
            self.problem = error
            raise forms.ValidationError(str(error.detail)) from error


class AdminSignInForm(SignInForm, AdminAuthenticationForm):
    """The same in the admin."""


def password_field(label: StrOrPromise, autocomplete: str) -> forms.CharField:
    widget = forms.PasswordInput(attrs={"autocomplete": autocomplete})
    return forms.CharField(label=label, max_length=128, strip=False, widget=widget)


class RegistrationForm(forms.Form):
    email = forms.EmailField(
        label=_("E-mail"),
        max_length=services.MAX_EMAIL,
        widget=forms.EmailInput(attrs={"autocomplete": "username"}),
    )
    password = password_field(_("Password"), "new-password")

    def clean_email(self) -> str:
        return services.normalised(self.cleaned_data["email"])

    def clean_password(self) -> str:
        email, password = self.cleaned_data.get("email", ""), str(self.cleaned_data["password"])
        validate_password(password, User(username=email, email=email))
        return password


class NewPasswordForm(forms.Form):
    """For whoever comes by the link in the e-mail."""

    new_password = password_field(_("New password"), "new-password")

    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user

    def clean_new_password(self) -> str:
        password = str(self.cleaned_data["new_password"])
        validate_password(password, self.user)
        return password

    def save(self) -> User:
        self.user.set_password(self.cleaned_data["new_password"])
        self.user.save(update_fields=["password"])
        return self.user


class PasswordForm(NewPasswordForm):
    """For whoever has signed in."""

    current_password = password_field(_("Current password"), "current-password")
    field_order = ("current_password", "new_password")


class ResetForm(forms.Form):
    email = forms.EmailField(
        label=_("E-mail"),
        max_length=254,
        widget=forms.EmailInput(attrs={"autocomplete": "username"}),
    )


class AppearanceForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    """What a stranger may choose."""

    class Meta:
        model = Preferences
        fields: tuple[str, ...] = ("theme", "contrast", "language")
        labels = {"theme": _("Theme"), "contrast": _("Contrast"), "language": _("Language")}


class PreferencesForm(AppearanceForm):
    """What a person may choose."""

    class Meta(AppearanceForm.Meta):
        fields = ("results", "detects", "keeps_history", *AppearanceForm.Meta.fields)


class DeletionForm(forms.Form):
    password = password_field(_("Your password"), "current-password")


class EnquiryForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    class Meta:
        model = Enquiry
        fields = ("email", "text")
        labels = {"email": _("Your e-mail"), "text": _("Your question")}
        widgets = {
            "email": forms.EmailInput(attrs={"autocomplete": "email"}),
            "text": forms.Textarea(attrs={"rows": 6}),
        }
