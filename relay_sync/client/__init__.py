"""The RELAY client: one connection, and the calls and messages on it.

``client``
    The public class :class:`relay_sync.RelayClient`.
``dial``, ``messaging``, ``contexts``, ``run``
    Base classes of the public class, each with the methods for one topic.
``link``, ``commands``, ``asked``
    The connection, and the commands sent over it.
``router``
    Dispatch of events to calls, dials and messages.
``pending_dials``, ``messages``
    The dials and messages in progress.
``callbacks``, ``states``
    The queues of user callbacks, and the reporting of connection states.
``handlers``, ``unattended``
    The threads of call handlers, and warnings about calls that no handler answers.
``resume_check``, ``inquiry``, ``aftermath``
    The queries that the client sends on its own, mainly after a reconnection.
"""
