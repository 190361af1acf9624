"""Views for status callbacks and health checks."""

from __future__ import annotations

from typing import Final

from django.core.handlers.asgi import ASGIRequest
from django.core.signals import setting_changed
from django.http import HttpRequest, HttpResponse, JsonResponse, RawPostDataException
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET

from ...errors import WebhookRefused
from ..hosting import Hooks
from ..hosting import health as health_of
from ..targets import of_asgi, of_wsgi
from .handlers import hosted, send, unheard
from .settings import webhooks
from .signals import of_kind, status_received

__all__ = ["health", "status"]

_hooks: Final = Hooks(webhooks)


def _forget(*, setting: str, **kwargs: object) -> None:
    if setting == "RELAY_SYNC":
        _hooks.forget()


setting_changed.connect(_forget, dispatch_uid="relay_sync.webhooks")


def _written(request: HttpRequest) -> list[str]:
    site, shown = f"{request.scheme}://{request.get_host()}", request.build_absolute_uri()
    if isinstance(request, ASGIRequest):
        return of_asgi(request.scope, site, request.path, shown)
    return of_wsgi(request.META, site, request.path, shown)


@csrf_exempt
def status(request: HttpRequest) -> HttpResponse:
    """Receive a status callback and send the corresponding signals."""
    hooks = _hooks.get()
    url, *others = _written(request)
    try:
        callback = hooks.parse(
            request.method or "",
            url,
            request.headers,
            bytes(request.body),
            peer=request.META.get("REMOTE_ADDR"),
            remember=False,
            spellings=others,
        )
    except RawPostDataException:  # A middleware has parsed the body as multipart, which the platform never sends.
        return HttpResponse("the Content-Type must be JSON or a form\n", status=415, content_type="text/plain")
    except WebhookRefused as refusal:
        return HttpResponse(f"{refusal.message}\n", status=refusal.status, content_type="text/plain")
    signals = (of_kind[callback.kind], status_received)
    if not any(signal.has_listeners(type(callback)) for signal in signals):
        unheard.tell(callback.kind, f"connect a receiver to {callback.kind}_status or status_received")
    went_well = [send(signal, type(callback), callback=callback) for signal in signals]
    if all(went_well):
        hooks.remember(callback)
    return HttpResponse(status=204)


@require_GET
def health(request: HttpRequest) -> JsonResponse:
    """Return the client's state and number of calls as JSON, with status 200 or 503."""
    body, code = health_of(hosted.existing)
    return JsonResponse(body, status=code)
