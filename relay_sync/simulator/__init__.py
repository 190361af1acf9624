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

It plays by the documented protocol; where the sources are silent, the module concerned says what it chose: ``network``
(calls), ``party``, ``directory`` and ``pace`` (people, and how fast time passes for them), ``dialing`` and ``hunting``,
``bridging`` with ``streampeer`` and ``twoway`` (two-way streams), ``streaming`` and ``stream`` (streams), ``webhook``
(status URLs), ``handshake`` (sessions), ``relay`` (refusals), ``post`` (messages), and ``operation`` for all that goes on on
a call: ``playing``, ``recording``, ``collecting``, ``detecting``, ``keys``, ``features``, ``listening``, ``transcripts``,
``rooms``, ``queueing``, ``documents``, ``paying``, ``agents``. It knows nothing of the client.

Needs the extra ``simulator``.
"""

from __future__ import annotations

from . import speech
from .directory import ExpectedPhone
from .journal import Entry, Journal, Notice
from .party import Played
from .phone import Phone
from .playback import Heard
from .server import Simulator
from .stream import Stream
from .twoway import TwoWayStream

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
