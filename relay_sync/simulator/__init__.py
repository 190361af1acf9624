"""Local simulator of SignalWire RELAY and the telephone network, for running programs without an account.

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

The simulator implements the documented protocol. Where the documentation leaves a behavior open, the relevant module's
docstring describes what the simulator does.

The package is organized in layers. Each layer imports only from the layers listed above it, even for type checking:

``core``
    Shared infrastructure: settings, sessions, the frame journal, faults, clocks and schemas.
``media``
    Audio, and media streams to WebSocket servers.
``people``
    The telephone network: phones, calls and messages.
``methods``
    RELAY method handlers, grouped by topic. For example, ``methods.playing`` handles ``calling.play``. ``methods.request``
    defines the request object that handlers receive.
``relay``, ``http``
    The WebSocket server for RELAY clients, and the HTTP endpoints on the same port (REST commands and recordings, and the
    sites that other parts mount).
    ``http.webhooks`` sends status webhooks.
``scenario``, ``fault_controls``, ``scripting``
    :class:`Simulator` methods for creating calls and messages, for injecting faults, and for tests that write the server's side
    themselves.
``server``
    The :class:`Simulator` class, which assembles the other parts.
``http.telephone``
    The telephone in the browser: its page, and its WebSocket.
``http.control``
    The control interface, which lets programs in any language control a simulator over HTTP, also on the same port:
    ``with Simulator() as sim, ControlInterface(sim) as control: ...``.

The simulator does not import the client.

Requires the ``simulator`` extra.
"""

from __future__ import annotations

from . import speech
from .core.feed import LiveEvent, LiveEvents
from .core.journal import Entry, Journal, Notice
from .core.session import Session
from .http.control.interface import ControlInterface
from .media.live_ear import LiveEar, LiveSound
from .media.live_voice import LiveVoice
from .media.played import Played
from .media.sound_queue import HeardSound
from .media.stream import Stream
from .media.two_way import TwoWayStream
from .methods.scripts import ScriptedEvent, ScriptedLeg
from .people.directory import ExpectedPhone
from .people.phone import Phone
from .server import Simulator

__all__ = [
    "ControlInterface",
    "Entry",
    "ExpectedPhone",
    "HeardSound",
    "Journal",
    "LiveEar",
    "LiveEvent",
    "LiveEvents",
    "LiveSound",
    "LiveVoice",
    "Notice",
    "Phone",
    "Played",
    "ScriptedEvent",
    "ScriptedLeg",
    "Session",
    "Simulator",
    "Stream",
    "TwoWayStream",
    "speech",
]
