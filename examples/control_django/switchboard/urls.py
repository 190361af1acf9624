"""Addresses of the application."""

from django.contrib import admin
from django.urls import include, path

from . import views

urlpatterns = [
    path("admin/", admin.site.urls),  # signs users in
    path("calls", views.calls),
    path("calls/<str:call_id>/stream", views.start),
    path("calls/<str:call_id>/stream/stop", views.stop),
    path("relay/", include("relay_sync.contrib.django.urls")),
]
