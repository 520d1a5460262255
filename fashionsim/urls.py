"""All addresses of the site."""

from django.contrib import admin
from django.contrib.auth import views as auth_views
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

from fashionsim import pages

urlpatterns = [
    path("", pages.home, name="home"),
    path("searches/<uuid:pk>/", pages.fragment, name="search-fragment"),
    path("searches/<uuid:pk>/cancel/", pages.cancel, name="search-stop"),
    path("garments/<slug:identifier>/", pages.garment, name="garment"),
    path(
        "sign-in/",
        auth_views.LoginView.as_view(
            template_name="sign_in.html", redirect_authenticated_user=True
        ),
        name="sign-in",
    ),
    path("sign-out/", auth_views.LogoutView.as_view(), name="sign-out"),
    path("admin/", admin.site.urls),
    path("api/v1/", include("catalog.urls")),
    path("api/v1/", include("similarity.urls")),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path(
        "api/docs/",
        SpectacularSwaggerView.as_view(url_name="schema", metadata_class=None),
        name="docs",
    ),
]

handler400 = "fashionsim.errors.bad_request"
handler403 = "fashionsim.errors.permission_denied"
handler404 = "fashionsim.errors.not_found"
handler500 = "fashionsim.errors.server_error"
