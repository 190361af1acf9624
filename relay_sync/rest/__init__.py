"""Control calls over HTTP, from web applications, jobs and scripts that have no RELAY connection.

::

    from relay_sync.rest import RestClient

    with RestClient() as rest:                       # credentials from the environment
        action = rest.call(call_id).stream("wss://example.com/audio", track="both")
        ...
        rest.call(call_id).stream_stop(action.control_id)

A method returns when the platform has accepted the command. HTTP clients receive no events. The platform sends events to the
client that owns the call, and to the command's ``status_url`` (see :mod:`relay_sync.webhooks`).

================  ==================================================================================================
``client``        :class:`RestClient`, the public client class
``commands``      :class:`RemoteCall` and :class:`RemoteAction`, with the same commands as ``Call``
``media``         the commands for audio and input, a base class of :class:`RemoteCall`
``replies``       :class:`CallInfo`, and the parsing of replies and errors
``exchange``      HTTP requests with deadlines, retries and error conversion
``sessions``      one ``requests.Session`` per thread and process
``sockets``       connections whose reads have a deadline
``download``      downloads of recordings, with resumption and size limits
``ranges``        byte ranges in response headers
``pages``         detection of HTML or JSON sent in place of a recording
``parts``         partial files, and the metadata needed to resume them
``reach``         redirect target checks
``progress``      progress output on a terminal
================  ==================================================================================================
"""

from __future__ import annotations

from .client import RestClient
from .commands import RemoteAction, RemoteCall
from .download import Download
from .replies import CallInfo

__all__ = ["CallInfo", "Download", "RemoteAction", "RemoteCall", "RestClient"]
