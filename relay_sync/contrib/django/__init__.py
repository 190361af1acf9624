"""Django: handle calls in a project, with its settings, database and signals.

::

    # settings.py
    INSTALLED_APPS = [..., "relay_sync.contrib.django"]
    RELAY_SYNC = {"host": "your-space.signalwire.com", "contexts": ["default"]}     # RelayClient's parameters

    # any_app/calls.py, which is imported automatically
    from relay_sync.contrib.django import on_call

    @on_call
    def handle(call):              # in a thread of its own; database connections are closed when it returns
        call.answer()
        call.wait_for_ended()

    # urls.py
    path("relay/", include("relay_sync.contrib.django.urls"))       # /relay/status and /relay/health

Run ``manage.py relay`` to receive calls in a separate process, or receive them in the workers of gunicorn
(:mod:`relay_sync.contrib.gunicorn`). A view may use :func:`get_client` at any time, for instance to dial; the client connects on
first use.

==============  ====================================================================================================
``handlers``    registration of handlers, and the client that calls them
``signals``     ``call_received``, ``call_ended``, and one for each kind of status callback
``settings``    ``settings.RELAY_SYNC``
``checks``      system checks of the settings
``views``       views for status callbacks and health; ``urls`` has their paths
``management``  ``manage.py relay``, ``manage.py relay_doctor``
==============  ====================================================================================================
"""

from __future__ import annotations

try:
    import django as _django  # noqa: F401
except ImportError as _missing:
    if _missing.name != "django":
        raise  # Django is installed, but one of its dependencies is not
    raise ImportError('relay_sync.contrib.django needs Django: pip install "django>=5.2"') from _missing

from .handlers import get_client, on_call, on_message, on_task, with_database

__all__ = ["get_client", "on_call", "on_message", "on_task", "with_database"]
