"""Threads and sockets: small, impure, and ignorant of calls.

``socket``
    the only module that imports websocket-client: dial, TLS, bytes in, bytes out.
``dialling``
    one attempt to connect, in a thread of its own.
``loop``
    the IO thread: performs what the session asks for.
``waiter``
    an outcome that arrives exactly once.
``lanes``
    user callbacks, in order within a lane, never on the IO thread.
``process``
    fork, exit and forgotten clients.
"""
