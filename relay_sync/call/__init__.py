"""Calls, the methods that control them, and the actions that run on them.

This package does not access frames or sockets.

``call``
    :class:`relay_sync.Call`, the public class.
``event_methods``
    The methods ``on``, ``wait_for`` and ``expect``, which accept an event name or class.
``event_overloads``
    Overloads of these methods for each event type (generated).
``core``
    A call's internal state, running actions and listeners. The router delivers events to it.
``methods``
    Sets of RELAY methods with a special effect on a call.
``verbs``
    Mix-ins with the methods that send commands.
``actions``
    Handles for running operations, such as playback, recording and streams.
``readers``
    Iterators over a call's events.
``owner``
    The type of ``call.client``.
``offer``
    Comparison of call offers that have the same call ID.
"""
