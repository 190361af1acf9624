"""The fault harness: a network that does what networks do, and a server that does what no sane server does.

``fault``
    what may go wrong, as values, and seeded random sequences of it.
``pipe``
    one direction of a connection: delayed, cut up, corrupted, held back.
``proxy``
    a TCP proxy that puts faults between a client and its server, at once, by script or by a seeded storm.
``script``
    a WebSocket server that sends exactly what it is told to.
``moments``, ``troubles``, ``table``
    what a user sees of each fault at each moment, and of what befalls the program itself;
    ``python -m tests.support.faults.table`` writes ``docs/faults.md``.
``soak``
    calls without end through a network that breaks every few seconds, and a balance of what became of each.
"""
