"""The client: one connection's worth of calls and messages.

``client``
    :class:`relay_sync.RelayClient`, the face: credentials, connecting, handlers.
``link``, ``commands``, ``asked``
    its connection, and what is said over it.
``router``
    delivers what happened to the call it happened to.
``dial``, ``messaging``, ``contexts``, ``run``
    what a client can do, by theme: place calls, send messages, subscribe, run until stopped.
``pending_dials``, ``messages``
    the dials and messages under way, and what the router tells them.
``callbacks``, ``states``
    the lanes of user code, and what is said of the connection.
``handlers``, ``unattended``
    the threads of calls.
``resume_check``, ``inquiry``, ``aftermath``
    what a client asks the server of its own accord, above all after a lost connection.
"""
