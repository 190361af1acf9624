"""The RELAY conversation without sockets, threads or clocks.

``frames``
    JSON-RPC frames: build, parse, refuse the malformed, mask secrets.
``results``
    what a command's reply means: success, or which error.
``backoff``, ``deadline``
    pure functions and values about time.
``liveness``
    when to ask for a sign of life, and when a connection is dead or half dead.
``effects``
    what the session asks its surroundings to do.
``session``
    the state machine: what happened and what time it is go in, effects come out.
"""
