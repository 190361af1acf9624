"""The IO thread and what it owns: the connection of a client. Ignorant of calls and audio.

``io_loop``
    the IO thread: performs what the session asks for.
``transport``
    the only module that imports websocket-client: dial, TLS, bytes in, bytes out.
``library``
    whether websocket-client can be imported, and what to say if not.
``upgrade``
    the request for a WebSocket, and which answers to it are taken; pure.
``addresses``
    from a name to a TCP connection: all addresses, a little apart.
``dial_thread``
    one attempt to connect, in a thread of its own.
``outbox``
    bytes that wait to be written.
``sink``
    what the IO thread needs of the client it works for.
"""
