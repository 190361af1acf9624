"""Call commands over HTTP, for web requests, jobs and scripts without the RELAY connection of a call.

::

    from relay_sync.rest import RestClient

    with RestClient() as rest:                       # credentials as for RelayClient
        action = rest.call(call_id).stream("wss://example.com/audio", track="both")
        ...
        rest.call(call_id).stream_stop(action.control_id)

When a method returns, the platform has accepted the command. No events arrive over HTTP: the platform notifies the client that
owns the call, and the command's ``status_url`` (see :mod:`relay_sync.webhooks`).

================  ==================================================================================================
``client``        :class:`RestClient`: credentials, ``call``, ``dial``, ``command``, ``download``
``commands``      :class:`RemoteCall`, :class:`RemoteAction`: the documented commands, named as on ``Call``
``media``         the commands for audio and input, a mix-in of :class:`RemoteCall`
``replies``       :class:`CallInfo`, and errors from refusals; pure
``exchange``      requests and replies: deadlines, safe retries, errors
``sessions``      one ``requests.Session`` per thread and process
``sockets``       reads with a deadline, however slowly the bytes arrive
``download``      recordings downloaded to files: resumption and limits
``ranges``        which bytes of a file a response contains; pure
``pages``         text sent instead of a recording; pure
``parts``         the partial file, and the note that makes it resumable
``reach``         where a redirect may lead
``progress``      the progress of a download on a terminal
================  ==================================================================================================
"""

from __future__ import annotations

from .client import RestClient
from .commands import RemoteAction, RemoteCall
from .download import Download
from .replies import CallInfo

__all__ = ["CallInfo", "Download", "RemoteAction", "RemoteCall", "RestClient"]
