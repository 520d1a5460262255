"""The pages about one's own account. They call the same services as the API."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login, logout
from django.contrib.auth import views as auth_views
from django.contrib.auth.mixins import LoginRequiredMixin
from django.http import HttpRequest, HttpResponse
from django.urls import reverse_lazy
from django.utils.decorators import method_decorator
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.generic import FormView, TemplateView
from rest_framework.exceptions import APIException, ValidationError

from accounts import services
from accounts.forms import (
    AppearanceForm,
    DeletionForm,
    NewPasswordForm,
    PasswordForm,
    PreferencesForm,
    RegistrationForm,
    ResetForm,
    SignInForm,
)
from accounts.providers import provider
from accounts.roles import role_of
from fashionsim.preferences import preferences_for, remember

FORM = "account/form.html"

ROLES = {
    "merchandiser": pgettext_lazy("role", "merchandiser"),
    "staff": pgettext_lazy("role", "staff"),
    "administrator": pgettext_lazy("role", "administrator"),
}
"""Roles above a shopper's, for people."""


class SignIn(auth_views.LoginView):
    template_name = "account/sign_in.html"
    redirect_authenticated_user = True
    form_class = SignInForm

    def form_invalid(self, form: Any) -> HttpResponse:
        response: HttpResponse = super().form_invalid(form)
        if form.problem is not None:
            response.status_code = form.problem.status_code
        return response

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(resets_passwords=provider().resets_passwords, **kwargs)


@method_decorator([sensitive_post_parameters(), never_cache], name="dispatch")
class AccountForm(FormView):  # type: ignore[type-arg]  # generic in the stubs only
    """A form that has one thing done, and tells on the same page why it was not."""

    template_name = FORM

    def act(self, form: forms.Form) -> None:
        """Do it; raises an APIException with a sentence for whoever asked."""
        raise NotImplementedError

    def form_valid(self, form: forms.Form) -> HttpResponse:
        try:
            self.act(form)
        except ValidationError as error:
            by_field: Any = error.detail
            for field, reasons in by_field.items():
                name = field if field in form.fields else None
                form.add_error(name, [str(reason) for reason in reasons])
            return self.form_invalid(form)
        except APIException as error:
            form.add_error(None, str(error.detail))
            response = self.form_invalid(form)
            response.status_code = error.status_code
            return response
        return super().form_valid(form)


class Register(AccountForm):
    form_class = RegistrationForm
    success_url = reverse_lazy("home")
    extra_context = {"title": _("Create an account"), "button": _("Create the account")}

    def act(self, form: forms.Form) -> None:
        user = services.register(form.cleaned_data["email"], form.cleaned_data["password"])
        if user is None:
            messages.info(self.request, gettext("Follow the link in our e-mail, then sign in."))
        else:
            login(self.request, user, backend=settings.AUTHENTICATION_BACKENDS[-1])


class Forgotten(AccountForm):
    form_class = ResetForm
    success_url = reverse_lazy("sign-in")
    extra_context = {
        "title": _("Forgotten password"),
        "lead": _("We send you a link, by which you choose a new one."),
        "button": _("Send the link"),
    }

    def act(self, form: forms.Form) -> None:
        services.start_reset(self.request, form.cleaned_data["email"])
        messages.info(
            self.request, gettext("If the address has an account here, the link is on its way.")
        )


class NewPassword(auth_views.PasswordResetConfirmView):
    """Where that link leads."""

    template_name = "account/new_password.html"
    form_class = NewPasswordForm  # type: ignore[assignment]  # Django asks for save() alone
    success_url = reverse_lazy("sign-in")
    extra_context = {"button": _("Set the password")}

    def form_valid(self, form: Any) -> HttpResponse:
        messages.success(self.request, gettext("Your new password is set. Sign in with it."))
        return super().form_valid(form)


class Account(LoginRequiredMixin, TemplateView):
    """Who one is here."""

    template_name = "account/account.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(
            role=ROLES.get(role_of(self.request.user)),  # type: ignore[arg-type]
            may_forget=provider().may_forget(),
            **kwargs,
        )


class Settings(FormView):  # type: ignore[type-arg]  # generic in the stubs only
    """How the shop is to look and behave: a person's are kept here, a stranger's in a browser."""

    template_name = "account/settings.html"
    success_url = reverse_lazy("settings")

    def get_form_class(self) -> type[AppearanceForm]:
        return PreferencesForm if self.request.user.is_authenticated else AppearanceForm

    def get_form_kwargs(self) -> dict[str, Any]:
        return super().get_form_kwargs() | {"instance": preferences_for(self.request)}

    def form_valid(self, form: forms.Form) -> HttpResponse:
        response = super().form_valid(form)
        user = self.request.user
        if user.is_authenticated:
            services.choose(user, **form.cleaned_data)
        else:
            remember(response, form.cleaned_data)
        messages.success(self.request, gettext("Your settings are kept."))
        return response


class ChangePassword(LoginRequiredMixin, AccountForm):
    form_class = PasswordForm
    success_url = reverse_lazy("account")
    extra_context = {"title": _("Change your password"), "button": _("Change it")}

    def get_form_kwargs(self) -> dict[str, Any]:
        return super().get_form_kwargs() | {"user": self.request.user}

    def act(self, form: Any) -> None:
        current, new = form.cleaned_data["current_password"], form.cleaned_data["new_password"]
        services.change_password(self.request, form.user, current, new)
        messages.success(self.request, gettext("Your password is changed."))


class DeleteAccount(LoginRequiredMixin, AccountForm):
    form_class = DeletionForm
    success_url = reverse_lazy("home")
    extra_context = {
        "title": _("Delete your account"),
        "lead": _("Your account goes, and your searches with it. This cannot be undone."),
        "button": _("Delete it for good"),
    }

    def act(self, form: forms.Form) -> None:
        request: HttpRequest = self.request
        services.delete_account(request.user, form.cleaned_data["password"])  # type: ignore[arg-type]
        logout(request)
        messages.success(request, gettext("Your account is deleted."))
