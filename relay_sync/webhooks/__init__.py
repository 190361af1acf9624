"""Parse and verify status callbacks of streams and recordings, in any web framework or none.

::

    from relay_sync.webhooks import StreamStatus, Webhooks

    hooks = Webhooks(signing_key="PSK...", public_url="https://hooks.example.com", strict=True)

    callback = hooks.parse(request.method, request.url, request.headers, request.get_data())
    if isinstance(callback, StreamStatus) and callback.state == "finished":
        ...

The platform documents two dialects, and both are accepted by POST and GET: ``relay`` (JSON events of RELAY and REST streams)
and ``cxml``, the form fields of cXML and of the Compatibility API. If the platform delivers a callback twice, both
deliveries have the same :attr:`Callback.key`, and the second one has :attr:`Callback.repeated` set.

================  ==================================================================================================
``reader``        :class:`Webhooks`: turns a request into a callback
``body``          parses JSON and form fields, with limits; pure
``callbacks``     the callback classes, and how each dialect maps to them; pure
``forwarded``     parses the forwarding headers of proxies; pure
``signatures``    computes and compares signatures, and lists the URLs that may have been signed; pure
================  ==================================================================================================
"""

from __future__ import annotations

from .callbacks import Callback, OtherStatus, RecordingStatus, StreamStatus
from .reader import Webhooks

__all__ = ["Callback", "OtherStatus", "RecordingStatus", "StreamStatus", "Webhooks"]
