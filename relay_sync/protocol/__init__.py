"""The RELAY conversation without sockets, threads or clocks.

``frames``
    JSON-RPC frames: build, parse, refuse the malformed, mask secrets.
``results``
    what a command's reply means: success, or which error.
``backoff``, ``deadline``
    pure functions and values about time.
``effects``
    what the session asks its surroundings to do.
``session``
    the state machine: what happened and what time it is go in, effects come out.
"""
