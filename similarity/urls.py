"""Likeness's part of the API."""

from django.urls import path
from rest_framework.routers import SimpleRouter

from similarity import views

router = SimpleRouter()
router.register("uploads", views.UploadViewSet, basename="upload")
router.register("segments", views.SegmentViewSet, basename="segment")
router.register("searches/prototypes", views.SortViewSet, basename="prototype-search")
router.register("searches", views.SearchViewSet, basename="search")
router.register("queries", views.QueryViewSet, basename="query")
router.register("index/builds", views.IndexBuildViewSet, basename="index-build")

urlpatterns = [
    path("export/", views.ExportView.as_view(), name="export"),
    path("index/", views.IndexView.as_view(), name="index"),
    path("index/rebuild/", views.RebuildView.as_view(), name="index-rebuild"),
    path("models/", views.ModelsView.as_view(), name="models"),
    path("health/live", views.LiveView.as_view(), name="health-live"),
    path("health/ready", views.ReadyView.as_view(), name="health-ready"),
    *router.urls,
]
