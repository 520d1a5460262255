"""All addresses of the site."""

from django.conf import settings
from django.contrib import admin
from django.contrib.auth import views as auth_views
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from accounts.throttles import SignInThrottle
from fashionsim import account_pages, pages, preferences, support_pages

guarded = pages.limited(SignInThrottle)

urlpatterns = [
    path("", pages.home, name="home"),
    path("searches/<uuid:pk>/", pages.fragment, name="search-fragment"),
    path("searches/<uuid:pk>/outfit/", pages.outfit, name="search-outfit"),
    path("searches/<uuid:pk>/cancel/", pages.cancel, name="search-stop"),
    path("searches/<uuid:pk>/detect/", pages.detect, name="search-detect"),
    path("searches/<uuid:pk>/mark/", pages.mark, name="search-mark"),
    path("history/", pages.history, name="history"),
    path("history/clear/", pages.forget_all, name="history-clear"),
    path("history/<uuid:pk>/delete/", pages.forget, name="history-delete"),
    path("support/", guarded(support_pages.Support.as_view()), name="support"),
    path("account/export/", pages.take_away, name="account-export"),
    path("garments/<slug:identifier>/", pages.garment, name="garment"),
    path("sign-in/", guarded(account_pages.SignIn.as_view()), name="sign-in"),
    path("sign-out/", auth_views.LogoutView.as_view(), name="sign-out"),
    path("register/", guarded(account_pages.Register.as_view()), name="register"),
    path("account/", account_pages.Account.as_view(), name="account"),
    path("language/", preferences.choose_language, name="language"),
    path("settings/", account_pages.Settings.as_view(), name="settings"),
    path("account/delete/", guarded(account_pages.DeleteAccount.as_view()), name="account-delete"),
    path(
        "password/change/", guarded(account_pages.ChangePassword.as_view()), name="password-change"
    ),
    path(
        "password/forgotten/", guarded(account_pages.Forgotten.as_view()), name="password-forgotten"
    ),
    path(
        "password/new/<uidb64>/<token>/",
        guarded(account_pages.NewPassword.as_view()),
        name="password-new",
    ),
    path("admin/", admin.site.urls),
    path("api/v1/", include("accounts.urls")),
    path("api/v1/", include("catalog.urls")),
    path("api/v1/", include("similarity.urls")),
    path("api/v1/", include("shop.urls")),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path(
        "api/docs/",
        SpectacularSwaggerSplitView.as_view(
            url_name="schema", template_name="api_docs.html", metadata_class=None
        ),
        name="docs",
    ),
]

if settings.LEGACY_API:
    urlpatterns.append(path("", include("fashionsim.legacy.urls")))

handler400 = "fashionsim.errors.bad_request"
handler403 = "fashionsim.errors.permission_denied"
handler404 = "fashionsim.errors.not_found"
handler500 = "fashionsim.errors.server_error"
