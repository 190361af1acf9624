"""Calls: their state, the methods that control them, and the actions that run on them.

This package does not access frames or sockets.

``call``
    :class:`relay_sync.Call`, the public class.
``event_methods``
    The methods ``on``, ``wait_for`` and ``expect``, which accept the name or the class of an event.
``event_overloads``
    Overloads of these methods for each event type (generated).
``core``
    The internal state of a call, its running actions and its listeners. The router delivers events to it.
``methods``
    Sets of RELAY methods with a special effect on a call.
``verbs``
    Mix-ins with the methods that send commands.
``actions``
    Handles for running operations, such as playback, recording and streams.
``readers``
    Iterators over the events of a call.
``owner``
    The type of ``call.client``.
``offer``
    Comparison of call offers that have the same call ID.
"""
