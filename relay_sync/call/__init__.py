"""One call: its state, its verbs, and the operations that run on it. Knows nothing of frames and sockets.

``call``
    :class:`relay_sync.Call`, the face: verbs and waits.
``core``
    what it is inside: state, events, the actions that run. The client's router delivers to this part.
``methods``
    what commands do to the call that they are addressed to.
``verbs``
    what can be done with a call, by theme: mix-ins with explicit signatures.
``actions``
    handles on operations that run: play, record, stream.
``readers``
    iterators over the events of a call.
``owner``
    the type of ``call.client``.
``offer``
    what tells an offered call from another one under its id.
"""
