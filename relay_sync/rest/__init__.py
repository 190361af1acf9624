"""Call commands over HTTP: for web requests, jobs and scripts that have no RELAY connection, or not the one that a call is on.

::

    from relay_sync.rest import RestClient

    with RestClient() as rest:                       # credentials as for RelayClient
        action = rest.call(call_id).stream("wss://example.com/audio", track="both")
        ...
        rest.call(call_id).stream_stop(action.control_id)

A command has been taken on when its method returns. There are no events here: what becomes of it is told to the client
that owns the call, and to the ``status_url`` of the command (see :mod:`relay_sync.webhooks`).

================  ==================================================================================================
``client``        :class:`RestClient`: credentials, ``call``, ``dial``, ``command``, ``download``
``commands``      :class:`RemoteCall`, :class:`RemoteAction`: the documented commands, named as on ``Call``
``media``         the commands on sound and input, a mix-in of :class:`RemoteCall`
``replies``       :class:`CallInfo`, and what a refusal means; pure
``exchange``      requests and answers: deadlines, retries where they are safe, errors
``sessions``      one ``requests.Session`` per thread and process
``sockets``       reading that ends at a deadline, however slowly the bytes come
``download``      a recording into a file: resumed, limited, complete or not there
``ranges``        which bytes of a file an answer holds; pure
``pages``         words that come instead of a recording; pure
``parts``         the file that grows, and the note by which it is resumed
``reach``         how far a redirect may lead
``progress``      how far a download has got
================  ==================================================================================================
"""

from __future__ import annotations

from .client import RestClient
from .commands import RemoteAction, RemoteCall
from .download import Download
from .replies import CallInfo

__all__ = ["CallInfo", "Download", "RemoteAction", "RemoteCall", "RestClient"]
