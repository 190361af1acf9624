"""The RELAY conversation without sockets, threads or clocks.

``frames``
    JSON-RPC frames: build, parse, refuse the malformed, mask secrets.
``results``
    what a command's reply means: success, or which error.
``backoff``
    how long to wait before the next attempt; a pure function.
``liveness``
    when to ask for a sign of life, and when a connection is dead or half dead.
``effects``
    what the session asks its surroundings to do.
``command``, ``promises``, ``repeats``, ``ids``
    commands and their replies: what is kept until it is answered, what was seen before, and what frames are called.
``options``
    what a session is made with.
``standing``
    the order of the states of calls and messages.
``depth``
    how deeply a text of JSON is nested.
``session``
    the state machine: what happened and what time it is go in, effects come out.
"""
