"""The RELAY protocol as a state machine, without sockets, threads or clocks.

============  ==================================================================================
``session``   the session as a state machine
``frames``    builds, parses and validates JSON-RPC frames, and masks secrets in them
``results``   maps replies to results or errors
``backoff``   computes the delay before the next connection attempt
``liveness``  decides when to send a ping and when a connection is dead
``effects``   actions that the session requests from the IO thread
``command``   commands and session phases
``promises``  commands that are kept until the server has answered them
``repeats``   detection of duplicate events
``ids``       frame IDs
``options``   settings of a session
``standing``  order of call and message states
``depth``     nesting depth of a JSON document
============  ==================================================================================
"""
