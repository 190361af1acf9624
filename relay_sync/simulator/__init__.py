"""The other side of the table: a RELAY server and a telephone network on loopback, to try things without an account.

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

It plays by the documented protocol; where the sources are silent, the module concerned says what it chose.

Its parts, from the bottom to the top; each imports from those above it in this list only, types included:

``core``
    the world that all share: settings, sessions, the journal, faults, clocks, schemas.
``media``
    sound, and streams to WebSockets.
``people``
    the telephone network, and who is at its ends.
``methods``
    what follows a command, by theme: ``methods.playing`` answers ``calling.play``. What asks for it is a ``methods.request``.
``relay``, ``http``
    the two ways in: RELAY's sockets, and the HTTP of the same port: REST, recordings. ``http.webhooks`` is a way out.
``scenario``, ``fault_controls``
    what programs can let happen, and let go wrong.
``server``
    :class:`Simulator`, which puts all of it together.
``http.control``
    a simulator that is told by HTTP what to let happen, from any language.

It knows nothing of the client.

Needs the extra ``simulator``.
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
