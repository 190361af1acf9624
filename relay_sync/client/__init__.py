"""The client: one connection with its calls and messages.

``client``
    :class:`relay_sync.RelayClient`, the public class: credentials, connecting, handlers.
``link``, ``commands``, ``asked``
    its connection, and the commands sent over it.
``router``
    delivers each event to its call, dial or message.
``dial``, ``messaging``, ``contexts``, ``run``
    the public methods by topic: place calls, send messages, subscribe to contexts, run until stopped.
``pending_dials``, ``messages``
    the dials and messages in progress, updated by the router.
``callbacks``, ``states``
    the lanes of user code, and the log lines and callbacks about connection states.
``handlers``, ``unattended``
    the handler threads of calls, and calls that no handler answers.
``resume_check``, ``inquiry``, ``aftermath``
    the questions that the client sends to the server automatically, mainly after a reconnection.
"""
