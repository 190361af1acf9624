"""The RELAY client: one connection, and the calls and messages on it.

``client``
    The public class :class:`relay_sync.RelayClient`.
``dial``, ``messaging``, ``contexts``, ``run``
    The public class's base classes, one per topic.
``link``, ``commands``, ``asked``
    The connection, and the commands sent over it.
``router``
    Event dispatch to calls, dials and messages.
``pending_dials``, ``messages``
    The dials and messages in progress.
``callbacks``, ``states``
    User callback queues, and connection state reporting.
``counters``
    The counters behind the statistics.
``handlers``, ``unattended``
    Call handler threads, and warnings about calls that no handler answers.
``resume_check``, ``inquiry``, ``aftermath``
    Automatic queries to the server, mainly after reconnecting.
"""
