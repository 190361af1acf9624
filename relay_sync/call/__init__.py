"""One call: its state, its verbs, and the operations that run on it. Knows nothing of frames and sockets.

``call``
    :class:`relay_sync.Call`.
``verbs``
    what can be done with a call, by theme: mix-ins with explicit signatures.
``actions``
    handles on operations that run: play, record, stream.
``readers``
    iterators over the events of a call.
``offer``
    what tells an offered call from another one under its id.
"""
