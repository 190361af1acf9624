"""Django application that handles calls in a Django project.

::

    # settings.py
    INSTALLED_APPS = [..., "relay_sync.contrib.django"]
    RELAY_SYNC = {"host": "your-space.signalwire.com", "contexts": ["default"]}     # RelayClient's parameters

    # any_app/calls.py is imported automatically
    from relay_sync import Call
    from relay_sync.contrib.django import on_call

    @on_call
    def handle(call: Call) -> None:  # runs in its own thread; database connections are closed when it returns
        call.answer()
        call.wait_for_ended()

    # urls.py
    path("relay/", include("relay_sync.contrib.django.urls"))       # /relay/status and /relay/health

To receive calls in a separate process, run ``manage.py relay``. To receive them in gunicorn workers, see
:mod:`relay_sync.contrib.gunicorn`. Views can use :func:`get_client`, for example to dial. The client connects on first use.

==============  ====================================================================================================
``handlers``    registers handlers, and creates the project's client
``signals``     signals for calls and status callbacks
``settings``    reads ``settings.RELAY_SYNC``
``checks``      system checks for the settings
``views``       views for status callbacks and health
``urls``        URL patterns for the views
``management``  the ``manage.py relay`` and ``manage.py relay_doctor`` commands
==============  ====================================================================================================
"""

from __future__ import annotations

try:
    import django as _django  # noqa: F401
except ImportError as _missing:
    if _missing.name != "django":
        raise  # Django is installed, but one of its dependencies is missing.
    raise ImportError('relay_sync.contrib.django needs Django: pip install "django>=5.2"') from _missing

from .handlers import get_client, on_call, on_message, on_task, with_database

__all__ = ["get_client", "on_call", "on_message", "on_task", "with_database"]
