"""Status callbacks of streams and recordings: read, and verified, in any web framework or none.

::

    from relay_sync.webhooks import StreamStatus, Webhooks

    hooks = Webhooks(signing_key="PSK...", public_url="https://hooks.example.com", strict=True)

    callback = hooks.parse(request.method, request.url, request.headers, request.get_data())
    if isinstance(callback, StreamStatus) and callback.state == "finished":
        ...

Two dialects are documented, and both are read: ``relay`` (the events of RELAY and REST streams, JSON) and ``cxml`` (the
form fields of cXML and of the compatibility API), each by POST or GET. A callback that the platform sends twice is told by
:attr:`Callback.repeated` and has the same :attr:`Callback.key`.

================  ==================================================================================================
``reader``        :class:`Webhooks`: one request in, one value out
``body``          bytes into JSON or form fields, with limits; pure
``callbacks``     the values, and how each dialect's members become theirs; pure
``forwarded``     what proxies say about the request that they were sent; pure
``signatures``    how the platform signs, and which URLs it may have signed; pure
================  ==================================================================================================
"""

from __future__ import annotations

from .callbacks import Callback, OtherStatus, RecordingStatus, StreamStatus
from .reader import Webhooks

__all__ = ["Callback", "OtherStatus", "RecordingStatus", "StreamStatus", "Webhooks"]
