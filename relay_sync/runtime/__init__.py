"""Threads and sockets: small, impure, and ignorant of calls.

``socket``
    the only module that imports websocket-client: dial, TLS, bytes in, bytes out.
``library``
    whether websocket-client can be imported, and what to say if not.
``upgrade``
    the request for a WebSocket, and which answers to it are taken; pure.
``addresses``
    from a name to a TCP connection: all addresses, a little apart.
``dialling``
    one attempt to connect, in a thread of its own.
``loop``
    the IO thread: performs what the session asks for.
``sink``, ``troubles``
    who hears of what happened; and what the log hears of trouble, once a minute.
``waiter``, ``timeleft``
    an outcome that arrives exactly once; and what is left of a timeout, also where the clock stands still.
``table``, ``net``
    dictionaries that threads share, by whole operations; and loops in which one failure costs one entry.
``lanes``
    user callbacks, in order within a lane, never on the IO thread.
``descriptors``
    what it looks like when no file descriptor is left.
``filelock``
    locks on files, where there are any.
``signals``
    handlers of signals that are ours for a time.
``process``
    fork, exit and forgotten clients.
"""
