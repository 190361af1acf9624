"""The IO thread and the connection that it owns. Knows nothing of calls and audio.

``io_loop``
    the IO thread: performs the effects of the session.
``transport``
    the only module that imports websocket-client: dial, TLS, bytes in, bytes out.
``library``
    checks whether websocket-client can be imported, and explains why not.
``upgrade``
    the WebSocket upgrade request, and the check of its response; pure.
``addresses``
    resolves a name and opens a TCP connection to the first address that answers.
``dial_thread``
    one connection attempt, in a separate thread.
``outbox``
    bytes waiting to be written.
``sink``
    the interface of the client as used by the IO thread.
"""
