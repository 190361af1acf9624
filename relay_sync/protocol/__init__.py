"""The RELAY conversation without sockets, threads or clocks.

``frames``
    JSON-RPC frames: build, parse, reject malformed ones, mask secrets.
``results``
    maps a command's reply to success or an error.
``backoff``
    the delay before the next connection attempt; a pure function.
``liveness``
    when to send a ping, and when a connection is dead or half-dead.
``effects``
    the actions that the session requests from the IO thread.
``command``, ``promises``, ``repeats``, ``ids``
    commands, commands kept until they are answered, duplicate detection, and frame ids.
``options``
    the settings of a session.
``standing``
    the order of call and message states.
``depth``
    the nesting depth of a JSON text.
``session``
    the state machine: events and the current time go in, effects come out.
"""
