"""URL patterns for the ``status`` and ``health`` views.

Add them to a project with ``include("relay_sync.contrib.django.urls")``.
"""

from __future__ import annotations

from django.urls import URLPattern, path

from . import views

__all__ = ["app_name", "urlpatterns"]

app_name = "relay_sync"
urlpatterns: list[URLPattern] = [
    path("status", views.status, name="status"),
    path("health", views.health, name="health"),
]
