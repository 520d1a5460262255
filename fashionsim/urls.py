"""All addresses of the site."""

from django.conf import settings
from django.contrib import admin
from django.contrib.auth import views as auth_views
from django.urls import URLPattern, include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from accounts.throttles import RequestThrottle, SignInThrottle
from fashionsim import account_pages, pages, preferences, support_pages

counted = pages.limited(RequestThrottle)
guarded = pages.limited(SignInThrottle, "POST")


def page(route: str, view: pages.Page, name: str) -> URLPattern:
    """A page, which counts among all that somebody asks for, as a request to the API does."""
    return path(route, counted(view), name=name)


urlpatterns = [
    page("", pages.home, name="home"),
    page("searches/<uuid:pk>/", pages.fragment, name="search-fragment"),
    page("searches/<uuid:pk>/outfit/", pages.outfit, name="search-outfit"),
    page("searches/<uuid:pk>/cancel/", pages.cancel, name="search-stop"),
    page("searches/<uuid:pk>/detect/", pages.detect, name="search-detect"),
    page("searches/<uuid:pk>/mark/", pages.mark, name="search-mark"),
    page("history/", pages.history, name="history"),
    page("history/clear/", pages.forget_all, name="history-clear"),
    page("history/<uuid:pk>/delete/", pages.forget, name="history-delete"),
    page("support/", guarded(support_pages.Support.as_view()), name="support"),
    page("account/export/", pages.take_away, name="account-export"),
    page("garments/<slug:identifier>/", pages.garment, name="garment"),
    page("sign-in/", guarded(account_pages.SignIn.as_view()), name="sign-in"),
    page("sign-out/", auth_views.LogoutView.as_view(), name="sign-out"),
    page("register/", guarded(account_pages.Register.as_view()), name="register"),
    page("account/", account_pages.Account.as_view(), name="account"),
    page("language/", preferences.choose_language, name="language"),
    page("settings/", account_pages.Settings.as_view(), name="settings"),
    page("account/delete/", guarded(account_pages.DeleteAccount.as_view()), name="account-delete"),
    page(
        "password/change/", guarded(account_pages.ChangePassword.as_view()), name="password-change"
    ),
    page(
        "password/forgotten/", guarded(account_pages.Forgotten.as_view()), name="password-forgotten"
    ),
    page(
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
