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

``server``, ``relay``, ``scenario``, ``fault_controls``
    what programs use (:class:`Simulator`), and what holds the rest together.
``core``
    sessions, requests and their schemas, the journal, faults, clocks.
``methods``
    what follows a command, by theme: ``methods.playing`` answers ``calling.play``.
``people``
    the telephone network, and who is at its ends.
``media``
    sound, and streams to WebSockets.
``http``
    the REST API, recordings, webhooks, and the control API.

It knows nothing of the client.

Needs the extra ``simulator``.
"""

from __future__ import annotations

from . import speech
from .core.journal import Entry, Journal, Notice
from .media.playback import Heard
from .media.stream import Stream
from .media.two_way import TwoWayStream
from .people.directory import ExpectedPhone
from .people.party import Played
from .people.phone import Phone
from .server import Simulator

__all__ = [
    "Entry",
    "ExpectedPhone",
    "Heard",
    "Journal",
    "Notice",
    "Phone",
    "Played",
    "Simulator",
    "Stream",
    "TwoWayStream",
    "speech",
]
