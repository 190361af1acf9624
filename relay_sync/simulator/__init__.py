"""A simulated RELAY server and telephone network on the loopback interface, to run programs without an account.

::

    from relay_sync.simulator import Simulator, speech

    with Simulator(media="fast") as sim:
        client = RelayClient(**sim.credentials, contexts=["default"])
        ...
        phone = sim.call(to="+15550100", from_="+15550199", says=speech.caller())
        phone.wait_until_heard("Welcome")
        phone.press("1")
        phone.hang_up()

    with Simulator(media="fast") as sim:
        sim.expect_phone("+15550101", busy=True)
        agent = sim.expect_phone("+15550102", answers_after=5, hangs_up_after="Goodbye")

The simulator follows the documented protocol. Where the documentation is silent, the docstring of the module concerned states
what the simulator does.

Its parts, from the bottom to the top. Each imports only from the parts above it in this list, types included:

``core``
    What all parts share: settings, sessions, the journal, faults, clocks, schemas.
``media``
    Sound, and streams to WebSockets.
``people``
    The telephone network and the parties on it.
``methods``
    The effects of commands, by theme: ``methods.playing`` implements ``calling.play``. A command is a ``methods.request``.
``relay``, ``http``
    The two ways in: RELAY WebSockets, and HTTP on the same port (REST, recordings). ``http.webhooks`` sends requests out.
``scenario``, ``fault_controls``
    The calls, messages and faults that a program can trigger.
``server``
    :class:`Simulator`, which combines all of it.
``http.control``
    A simulator that is controlled over HTTP, from any language.

The simulator does not import the client.

Requires the extra ``simulator``.
"""

from __future__ import annotations

from . import speech
from .core.journal import Entry, Journal, Notice
from .media.played import Played
from .media.sound_queue import HeardSound
from .media.stream import Stream
from .media.two_way import TwoWayStream
from .people.directory import ExpectedPhone
from .people.phone import Phone
from .server import Simulator

__all__ = [
    "Entry",
    "ExpectedPhone",
    "HeardSound",
    "Journal",
    "Notice",
    "Phone",
    "Played",
    "Simulator",
    "Stream",
    "TwoWayStream",
    "speech",
]
