"""The IO thread and its connection. This package does not depend on calls or audio.

``io_loop``
    The IO thread, which performs the session's effects.
``transport``
    The WebSocket connection: dialing, TLS, reading and writing. The only module that imports websocket-client.
``library``
    A check that websocket-client can be imported.
``upgrade``
    The WebSocket upgrade request and response. No I/O.
``addresses``
    Name resolution and TCP connections.
``dial_thread``
    The thread that runs a connection attempt.
``outbox``
    The buffer for outgoing bytes.
``sink``
    The interface through which the IO thread calls the client.
"""
