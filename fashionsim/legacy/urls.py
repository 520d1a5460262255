"""The old addresses, at the root of the site and without a slash at their end."""

from django.urls import path

from fashionsim.legacy import views

urlpatterns = [
    path("relay_image", views.RelayView.as_view(), name="legacy-relay"),
    path("image/split", views.SplitView.as_view(), name="legacy-split"),
    path("split_image", views.AdminSplitView.as_view(), name="legacy-admin-split"),
    path("upload_image", views.UploadView.as_view(), name="legacy-upload"),
    path("upload_single_image", views.CropUploadView.as_view(), name="legacy-crop-upload"),
    path("cancel_request/<str:name>", views.CancelSearchView.as_view(), name="legacy-cancel"),
    path("cancel_upload/<str:name>", views.CancelView.as_view(), name="legacy-cancel-upload"),
    path(
        "cancel_processing/<str:name>",
        views.CancelView.as_view(),
        name="legacy-cancel-processing",
    ),
    path("request_status/recent", views.RecentView.as_view(), name="legacy-recent"),
    path("request_status/<str:name>", views.StatusView.as_view(), name="legacy-status"),
    path("cleanup_requests", views.CleanupView.as_view(), name="legacy-cleanup"),
    path("image_detail", views.DetailView.as_view(), name="legacy-detail"),
    path("search_history/<str:name>", views.HistoryView.as_view(), name="legacy-history"),
    path("splitted_images", views.RowsView.as_view(), name="legacy-rows"),
    path("splitted_images/<str:name>", views.RowView.as_view(), name="legacy-row"),
    path(
        "splitted_images/by_original/<str:name>",
        views.OriginalView.as_view(),
        name="legacy-original",
    ),
    path("api/auth/register", views.RegisterView.as_view(), name="legacy-register"),
    path("api/auth/login", views.LoginView.as_view(), name="legacy-login"),
    path("api/auth/refresh", views.RefreshView.as_view(), name="legacy-refresh"),
    path("api/auth/logout", views.LogoutView.as_view(), name="legacy-logout"),
    path("api/auth/user", views.AccountView.as_view(), name="legacy-user"),
]
