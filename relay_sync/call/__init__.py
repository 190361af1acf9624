"""One call: its state, its verbs, and the operations that run on it. It does not deal with frames or sockets.

``call``
    :class:`relay_sync.Call`, the public class: verbs and waits.
``event_methods``
    ``on``, ``wait_for`` and ``expect``: the methods that accept the name or the class of an event.
``event_overloads``
    their types by the names of events (generated).
``core``
    the inner part: state, events, running actions. The client's router delivers to this part.
``methods``
    what each command does to the call that it addresses.
``verbs``
    the operations on a call, grouped by theme: mix-ins with explicit signatures.
``actions``
    handles on running operations: play, record, stream.
``readers``
    iterators over the events of a call.
``owner``
    the type of ``call.client``.
``offer``
    how to tell an offered call from another call with the same id.
"""
