"""The accounts' part of the API."""

from django.urls import path

from accounts import views

urlpatterns = [
    path("auth/register/", views.RegisterView.as_view(), name="auth-register"),
    path("auth/sign-in/", views.SignInView.as_view(), name="auth-sign-in"),
    path("auth/refresh/", views.RefreshView.as_view(), name="auth-refresh"),
    path("auth/sign-out/", views.SignOutView.as_view(), name="auth-sign-out"),
    path("auth/account/", views.AccountView.as_view(), name="auth-account"),
    path("auth/account/delete/", views.DeletionView.as_view(), name="auth-delete"),
    path("auth/account/settings/", views.PreferencesView.as_view(), name="auth-settings"),
    path("auth/password/", views.PasswordView.as_view(), name="auth-password"),
    path("auth/password/reset/", views.ResetView.as_view(), name="auth-reset"),
    path("auth/password/new/", views.NewPasswordView.as_view(), name="auth-new-password"),
]
