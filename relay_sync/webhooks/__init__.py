"""Parse and verify the platform's status callbacks. Works with any web framework.

::

    from relay_sync.webhooks import StreamStatus, Webhooks

    hooks = Webhooks(signing_key="PSK...", public_url="https://hooks.example.com", strict=True)

    callback = hooks.parse(request.method, request.url, request.headers, request.get_data())
    if isinstance(callback, StreamStatus) and callback.state == "finished":
        ...

The platform documents two dialects. ``relay`` callbacks are JSON events from RELAY and REST actions. ``cxml`` callbacks are form
fields from cXML and the Compatibility API. Both are accepted in POST and GET requests. If the platform delivers a callback twice,
both deliveries have the same :attr:`Callback.key`, and :attr:`Callback.repeated` is set for the second one.

================  ==================================================================================================
``reader``        :class:`Webhooks`, which turns a request into a callback
``body``          parsing of JSON and form bodies, with size limits
``callbacks``     the callback classes, and the parsing of both dialects
``forwarded``     parsing of forwarding headers sent by proxies
``signatures``    signature computation and comparison
================  ==================================================================================================
"""

from __future__ import annotations

from .callbacks import Callback, OtherStatus, RecordingStatus, StreamStatus
from .reader import Webhooks

__all__ = ["Callback", "OtherStatus", "RecordingStatus", "StreamStatus", "Webhooks"]
