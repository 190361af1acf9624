"""Media streams for simulated calls.

Streams run on the loop thread. Methods intended for tests may be called from any thread.

The following behavior is not documented by the vendor and was chosen for the simulator:

* The ``streaming`` event is sent when the connection is open. The ``finished`` event is sent when the stream ends for any reason.
  If the connection cannot be opened, only ``finished`` is sent. There is no error state.
* The caller starts to speak when the call's first stream starts, so that stream contains the complete speech. A second stream
  joins the speech at its current position. After the speech, silence is sent until the stream ends.
* With ``media="fast"`` there is no clock. A stream sends the whole speech as fast as the receiver reads it, then sends nothing
  more until it is stopped.
* In real time, frames are lost if the receiver does not keep up, as with other carriers. Their sequence numbers are skipped.
* If the simulator cannot encode the codec, only ``finished`` is sent. ``end_reason`` then starts with ``codec_error``, the error
  name in the vendor's cXML documentation. G.722 and Opus need the ``codecs`` extra.
* A receiver's certificate is verified, also on loopback. The trusted authorities are those of the environment
  (``SSL_CERT_FILE``, ...), unless the test has passed an SSL context.
* If the last stream ends before the speech does, a party that hangs up after its speech still hangs up at that time.
"""

from __future__ import annotations

import math
import ssl
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

from attrs import define, field

from ...audio.coders import check_available
from ...errors import InvalidParameter, UnsupportedCodec, WaitTimeout
from ...hosts.authorities import trusting
from ...hosts.names import is_loopback
from ...hosts.proxies import Unusable
from ...server.connection import CloseInfo, Connection
from ...server.dialer import dial
from ...server.loop import LoopStopped, Timer
from ...threads.logs import get as log_of
from ..core import frames, given
from ..core.noticeboard import Noticeboard
from ..core.session import ServerSession
from ..core.urls import place
from ..core.world import World
from .carrier import Carrier
from .disturbance import Disturbance
from .formats import Format, parse_codec
from .hearing import Audible, Ear, Tape, listen_in, stop_listening
from .live_ear import LiveEar
from .live_voice import LiveVoice
from .voice import Sound

__all__ = ["Stream", "StreamedCall", "error_value", "open_stream"]

_log = log_of("relay_sync.simulator").later
_S = TypeVar("_S", bound="Stream")

BATCH = 32  # frame intervals sent per turn of the loop if there is no clock
#: Maximum number of unread bytes in real time, after which frames are lost. This is about 15 s of PCMU on one track.
MOST_UNREAD = 256 * 1024
MOST_RECEIVED = 1_000
#: The ``StreamError`` value for a certificate that is not trusted, among other errors.
TLS_ERROR = "connection_refused_timeout_or_ssl_error"
STATES = ("starting", "streaming", "finished")


class StreamedCall(Audible, Protocol):
    """Protocol for the call that a stream belongs to.

    :ivar owner: session that receives the call's events, if any.
    :ivar hears: audio that the party hears from the start of the call.
    :ivar hangs_up_after_speaking: whether the party hangs up after its speech.
    :ivar streams: all of the call's streams, in order.
    :ivar live_ears: live ears of the party.
    :ivar board: notifies waiting tests when the call changes.
    """

    owner: ServerSession | None
    hears: Sound
    hangs_up_after_speaking: bool
    streams: list[Stream]
    live_ears: list[LiveEar]
    board: Noticeboard

    def address(self) -> dict[str, Any]:
        """Return the parameters included in each of the call's events."""

    def hang_up(self) -> None:
        """Hang up on behalf of the party."""

    def speak_on(self, said: float) -> None:
        """Continue the party's speech without a stream. A party that hangs up after its speech then does so.

        :param said: seconds of the speech that have been said.
        """

    def heard_again(self) -> None:
        """Let the speech's end be decided by a stream again."""


@define(eq=False, kw_only=True)
class Stream:
    """A stream from a simulated call to a receiver.

    :param world: the simulator's internal state.
    :param call: call that the stream belongs to.
    :param token: bearer token for the receiver; ``None`` sends no token.

    :ivar control_id: ID that the client chose.
    :ivar url: receiver URL.
    :ivar tracks: ``inbound``, ``outbound`` or both.
    :ivar format: the stream's codec, sample rate and frame duration.
    :ivar name: stream name, if the client chose one.
    :ivar custom_parameters: custom parameters for the receiver.
    :ivar status_url: status webhook URL; ``""`` for none.
    :ivar status_url_method: HTTP method for the status webhook.
    :ivar state: ``starting``, ``streaming`` or ``finished``.
    :ivar end_reason: reason the stream finished; ``""`` before.
    :ivar frames_sent: number of frames sent, by track.
    :ivar lost: number of frame intervals skipped because the receiver did not keep up.
    :ivar error: ``StreamError`` value for status callbacks if the stream never started; ``""`` otherwise.
    :ivar received: last 1000 messages from the receiver. A one-way stream's receiver should send none.
    :ivar notices: receiver mistakes that the platform would not report, described by kind.
    """

    _world: World = field(repr=False)
    _call: StreamedCall = field(repr=False)
    control_id: str
    url: str = field(repr=place)
    tracks: tuple[str, ...]
    format: Format
    name: str | None = None
    custom_parameters: Any = field(default=None, repr=False)
    _token: str | None = field(default=None, repr=False)
    status_url: str = field(default="", repr=lambda url: place(url) if url else "")
    status_url_method: str = "POST"
    state: str = field(default="starting", init=False)
    end_reason: str = field(default="", init=False)
    frames_sent: dict[str, int] = field(factory=dict, init=False)
    lost: int = field(default=0, init=False)
    error: str = field(default="", init=False)
    notices: dict[str, str] = field(factory=dict, init=False)
    received: deque[str | bytes] = field(factory=lambda: deque(maxlen=MOST_RECEIVED), init=False, repr=False)
    _sent: dict[str, bytearray] = field(factory=dict, init=False, repr=False)
    _carrier: Carrier = field(init=False, repr=False)
    _ear: Ear = field(init=False, repr=False)
    _connection: Connection | None = field(default=None, init=False, repr=False)
    _timer: Timer | None = field(default=None, init=False, repr=False)
    _finished: bool = field(default=False, init=False, repr=False)  # set before ``state`` changes
    _all_sent: bool = field(default=False, init=False, repr=False)
    _began: float = field(default=0.0, init=False, repr=False)
    _disturbance: Disturbance = field(factory=Disturbance, init=False, repr=False)
    _board: Noticeboard = field(init=False, repr=False)

    @_board.default
    def _settling(self) -> Noticeboard:
        return Noticeboard(self._world.settle)

    # -- for tests, from any thread ------------------------------------------------------------------------------------

    @property
    def over(self) -> bool:
        """Whether the stream has finished."""
        return self.state == "finished"

    @property
    def sent(self) -> dict[str, bytes]:
        """Audio sent so far, by track, as 16-bit PCM at the stream's sample rate.

        A receiver that loses no frames decodes the same samples. Only the first ``record_seconds`` seconds (600 by default) are
        kept.
        """
        return {track: bytes(pcm) for track, pcm in list(self._sent.items())}

    def wait_until(self, state: str, timeout: float = 10.0) -> None:
        """Wait until the stream has reached a state.

        :param state: ``starting``, ``streaming`` or ``finished``.
        :param timeout: maximum time to wait, in seconds.
        :raises WaitTimeout: the state was not reached in time, or the stream finished before it reached ``streaming``.
        :raises InvalidParameter: the state is unknown.
        """
        if state not in STATES:
            raise InvalidParameter("state", state, f"one of {', '.join(STATES)}")
        wanted = STATES.index(state)

        def reached(stream: Stream) -> bool:
            if state == "streaming" and stream.over and stream._connection is None:
                raise WaitTimeout(f"the stream never started: {stream.end_reason}")
            return STATES.index(stream.state) >= wanted

        self.wait_for(reached, timeout, lambda: f"the stream to be {state} (it is {self.state})")

    def wait_for(
        self: _S,
        predicate: Callable[[_S], object],
        timeout: float = 10.0,
        what: str | Callable[[], str] = "a condition of the stream",
    ) -> None:
        """Wait until a predicate is true. The predicate is evaluated whenever the stream changes, including after every frame.

        :param predicate: function that is called with the stream.
        :param timeout: maximum time to wait, in seconds.
        :param what: description of the condition for the error message, or a function that returns it.
        :raises WaitTimeout: the predicate did not become true in time.
        """
        given.function("predicate", predicate)
        self._board.wait_for(lambda: bool(predicate(self)), timeout, what)

    def wait_for_speech(self, timeout: float = 30.0) -> None:
        """Wait until all speech has been sent or the stream has finished.

        :param timeout: maximum time to wait, in seconds.
        :raises WaitTimeout: the speech was not sent in time, and the stream did not finish.
        """
        self.wait_for(lambda stream: stream.over or stream._all_sent, timeout, "the end of the speech")

    def cut(self, reset: bool = False, timeout: float = 5.0) -> None:
        """Drop the connection without a ``stop`` message or closing handshake. The stream then finishes.

        :param reset: whether to reset the connection instead of closing it.
        :param timeout: maximum time to wait for the simulator, in seconds.
        :raises WaitTimeout: the simulator did not drop the connection in time.
        """
        self._world.do(self._cut, reset, timeout=timeout)

    def _cut(self, reset: bool) -> None:
        connection = self._connection
        if connection is not None and not self._finished:
            self._end("cut")
            connection.abort(reset)
            self._announce("finished")

    # -- from connecting to sending ------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Connect to the receiver."""
        world, host = self._world, urlsplit(self.url).hostname
        self._sent = {track: bytearray() for track in self.tracks}
        self.frames_sent = dict.fromkeys(self.tracks, 0)
        self._disturbance = Disturbance(world.faults.for_stream())
        unplayable, refused = self._unplayable(), self._disturbance.refused_with
        if unplayable or refused:
            error = refused or "codec_error"
            self._give_up(f"{error}: {unplayable or 'injected by disturb_stream()'}", error)
            return
        if not world.settings.allow_remote and not is_loopback(host):
            self._give_up(
                "the receiver is not on loopback; pass call.stream() the url of a local AudioServer(), or allow other hosts "
                "(relay-sync simulate --allow-remote, Simulator(allow_remote=True))"
            )
            return
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        try:
            dial(
                world.loop,
                self.url,
                headers=headers,
                ssl_context=self._tls(),
                timeout=world.settings.dial_timeout,
                on_open=self._opened,
                on_failed=self._not_opened,
            )
        except LoopStopped:
            self._give_up("the simulator is closing")
        except Unusable as error:
            self._give_up(f"cannot connect: {error}", TLS_ERROR)

    def _unplayable(self) -> str:
        """Return why the simulator cannot send this codec; ``""`` if it can."""
        if not self.format.playable:
            return f"the simulator cannot encode {self.format.base}"
        try:
            check_available(self.format.base)
        except UnsupportedCodec as error:
            return f"the simulator cannot encode {self.format.base}: {error}"
        return ""

    def _tls(self) -> ssl.SSLContext | None:
        chosen = self._world.settings.media_ssl_context
        return trusting(None) if chosen is None and urlsplit(self.url).scheme == "wss" else chosen

    def _not_opened(self, error: Exception) -> None:
        advice = ""
        if isinstance(error.__cause__, ssl.SSLCertVerificationError):
            advice = (
                "; the platform would refuse it as well. If this certificate is for tests, have the simulator trust it:"
                " set SSL_CERT_FILE, or pass Simulator(media_ssl_context=...)"
            )
        self._give_up(f"cannot connect: {error}{advice}", error_value(error))

    def _give_up(self, why: str, error: str = "general_error") -> None:
        if not self._finished:
            self.error = error
            _log.warning("no stream to %s: %s", place(self.url), why)
            self.finish(why)

    def _opened(self, connection: Connection) -> None:
        if self._finished:
            connection.close(1000)
            return
        self._connection = connection
        connection.on_message = self._on_message
        connection.on_close = self._closed
        call, settings = self._call, self._world.settings
        call.heard_again()
        self._began = self._world.clock.now
        if call.speaking_since is None:
            call.speaking_since = self._began
        self._ear = Ear(
            tape=Tape(call.hears),
            now=self._second,
            hurried=settings.media == "fast",
            grown=self._say_more,
            waited_for=True,
        )
        if isinstance(call.says, LiveVoice):
            call.says.follow(self._say_more)
        voices: dict[str, Sound] = {"inbound": call.says, "outbound": self._ear.tape}
        self._carrier = Carrier(
            format=self.format,
            voices={track: voices[track] for track in self.tracks},
            account=settings.project,
            call_id=call.call_id,
            custom_parameters=self.custom_parameters,
            offset=0 if settings.media == "fast" else self._joined(self._began - call.speaking_since),
        )
        if self._disturbance.mislabeled:
            self._carrier.mislabel()
        self._started()
        self._announce("streaming")
        for message in self._carrier.opening():
            connection.send(message)
        if "outbound" in self.tracks:
            listen_in(call, self._ear)
        self._look_around()
        if settings.media == "fast":
            connection.on_drain = self._hurry
            self._hurry()
        else:
            self._keep_time()

    def _second(self) -> float:
        """Return the tape position, in seconds, for audio that starts now: the start of an unsent frame."""
        since, sent = self._call.speaking_since, self._carrier.seconds_sent
        if self._world.settings.media == "fast" or since is None:
            return sent
        frame = self.format.samples / self.format.rate
        late = (self._world.clock.now - since) * self._world.settings.speed - sent
        return sent + max(0, math.ceil(late / frame - 1e-6)) * frame

    def _say_more(self) -> None:
        """Resume sending after audio was added to the tape."""
        self._ear.tape.forget(self._carrier.seconds_sent)
        if self._world.settings.media == "fast" and self._timer is None:
            self._timer = self._world.loop.call_later(0, self._hurry)

    def _joined(self, late: float) -> int:
        """Return where in the speech a stream begins if it starts ``late`` seconds after the speech.

        :return: position in samples, rounded to a whole frame.
        """
        passed = late * self._world.settings.speed * 1000 / self.format.ptime
        return round(passed) * self.format.samples

    # -- sending -------------------------------------------------------------------------------------------------------

    def _hurry(self) -> None:
        """Send frames without a clock until the receiver falls behind. ``on_drain`` resumes once the receiver catches up."""
        connection = self._connection
        if self._timer is not None:
            self._timer.cancel()  # on_drain may have called this method before the timer
            self._timer = None
        if connection is None or self._finished or connection.buffered > connection.low_water:
            return
        for _ in range(BATCH):
            if not (self._carrier.speaking or self._disturbance.ahead(self._carrier.position)) or self._finished:
                return
            self._send_frames(connection)
            self._look_around()
        self._timer = self._world.loop.call_later(0, self._hurry)

    def _keep_time(self) -> None:
        """Send the frames that are due. Frame ``n`` is due ``n`` intervals after the first frame, so delays do not add up."""
        connection = self._connection
        if connection is None:
            return
        interval = self.format.ptime / 1000 / self._world.settings.speed
        # Read the clock only once, because other work may be due before the frames that become due during the loop.
        now = self._world.clock.now
        while not self._finished and self._began + self._carrier.position * interval <= now:
            self._interval()
            if connection.buffered > MOST_UNREAD:
                self._carrier.skip()
                self.lost += 1
            else:
                self._send_frames(connection)
            self._look_around()
        if not self._finished:
            self._timer = self._world.clock.at(self._began + self._carrier.position * interval, self._keep_time)

    def _send_frames(self, connection: Connection) -> None:
        settings, disturbance, position = self._world.settings, self._disturbance, self._carrier.position
        end = disturbance.ends(position)
        if end:
            self._cut(end == "reset")
            return
        if disturbance.skips(position):
            self._carrier.skip()
            return
        limit = int(settings.record_seconds * self.format.rate) * 2
        sent = self._carrier.tick()
        for text in disturbance.around(position, [message for message, _ in sent.values()]):
            connection.send(text)
        for track, (_, pcm) in sent.items():
            self.frames_sent[track] += 1
            kept = self._sent[track]
            if len(kept) < limit:
                kept += pcm[: limit - len(kept)]

    def _look_around(self) -> None:
        """Check whether all speech has been sent. Hang up if the party hangs up after its speech."""
        if not self._all_sent and not self._carrier.speaking:
            self._all_sent = True
        self._board.changed()
        call = self._call
        if call.hangs_up_after_speaking and self._carrier.has_sent(call.says):
            call.hang_up()

    def dtmf(self, digit: str) -> None:
        """Send a DTMF digit to the receiver if the stream is open.

        :param digit: the digit that the party pressed.
        """
        if self.state == "streaming" and self._connection is not None:
            self._connection.send(self._carrier.dtmf(digit))

    # -- from the receiver ---------------------------------------------------------------------------------------------

    def _on_message(self, text: str | bytes) -> None:
        self.received.append(text)
        self.note(
            "one-way", "data on a one-way stream, which nothing plays; connect the call to a stream device to be heard"
        )

    def note(self, kind: str, text: str) -> None:
        """Record and log a receiver mistake that the platform would not report. Each kind is recorded once.

        :param kind: kind of mistake, used as the key in ``notices``.
        :param text: description of the mistake.
        """
        if kind in self.notices:
            return
        self.notices[kind] = text
        self._world.journal.notice(self._call.call_id, self.control_id, kind, text)
        self._board.changed()
        _log.warning("the receiver at %s sent %s", place(self.url), text)
        if self._world.settings.strict and self._connection is not None and not self._finished:
            self._end(f"strict: the receiver sent {text}")
            self._connection.close(1008, text)
            self._announce("finished")

    # Hooks for two-way streams.

    def _started(self) -> None:
        """Prepare the stream. Called when the carrier exists, before the first message is sent."""

    def _interval(self) -> None:
        """Process one frame interval. Called when a frame is due."""

    def _emit(self, params: dict[str, Any]) -> None:
        self._world.emit(self._call.owner, "calling.call.stream", params)

    # -- the end -------------------------------------------------------------------------------------------------------

    def _closed(self, info: CloseInfo) -> None:
        if not self._finished:
            code = "without a close frame" if info.code is None else f"with code {info.code}"
            self.finish(f"the receiver closed the socket {code}")

    def finish(self, reason: str, *, announce: bool = True) -> None:
        """Send ``stop``, close the connection and finish the stream. Idempotent.

        :param reason: value for ``end_reason``.
        :param announce: whether to send the ``finished`` event.
        """
        if self._finished:
            return
        connection = self._connection
        self._end(reason)
        if connection is not None:
            for message in (*self._disturbance.rest(), self._carrier.stop()):
                connection.send(message)
            connection.close(1000)
        if announce:
            self._announce("finished")
        else:
            self._show("finished")

    def _end(self, reason: str) -> None:
        """Stop sending. The caller must then call :meth:`_announce` or :meth:`_show`."""
        self.end_reason, self._finished = reason, True
        for fault in self._disturbance.ahead(self._carrier.position if self._connection is not None else 0):
            self._world.faults.missed(fault)
        if self._connection is not None:
            stop_listening(self._call, self._ear)
            if all(each is self or each.over for each in self._call.streams):
                self._call.speak_on(self._second())
        if self._timer is not None:
            self._timer.cancel()

    def _show(self, state: str) -> None:
        """Set ``state``. Called after the state's event has been recorded in the journal."""
        if STATES.index(state) > STATES.index(self.state):  # the event of a state may have caused the next state
            self.state = state
        self._board.changed()

    def _announce(self, state: str) -> None:
        """Send a state's event to the call's owner and the status webhook, then set ``state``."""
        call, world = self._call, self._world
        params = {**call.address(), "control_id": self.control_id, "state": state, "url": self.url}
        if self.name is not None:
            params["name"] = self.name
        self._emit(params)
        if self.status_url:
            form = world.settings.status_dialect == "cxml"
            body = self._form(state) if form else self._envelope(params)
            lane = f"{call.call_id} {self.control_id}"
            world.webhooks.send(lane, self.status_url, self.status_url_method, body, form=form)
        self._show(state)

    def _envelope(self, params: dict[str, Any]) -> dict[str, Any]:
        settings = self._world.settings
        return frames.envelope(
            "calling.call.stream",
            params,
            event_channel=f"swml:{settings.space}",
            project_id=settings.project,
            space_id=settings.space,
        )

    def _form(self, state: str) -> dict[str, Any]:
        """Return the fields for a cXML status callback, the only format that includes errors."""
        call = self._call
        sid = self.control_id if self._connection is None else self._carrier.stream_sid
        tracks = "both_tracks" if len(self.tracks) > 1 else f"{self.tracks[0]}_track"
        event = "started" if state == "streaming" else "error" if self.error else "stopped"
        fields = {
            "AccountSid": self._world.settings.project,
            "CallSid": call.call_id,
            "StreamSid": sid,
            "StreamName": self.name or sid,
            "StreamTrack": tracks,
            "StreamEvent": f"stream-{event}",
            "Timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "Unique-ID": call.call_id,
        }
        return {**fields, "StreamError": self.error} if self.error else fields


def error_value(error: Exception) -> str:
    """Return the ``StreamError`` value for a connection that could not be opened. The vendor does not document this mapping."""
    step = getattr(error, "step", "")
    if step in ("tls", "timeout"):
        return TLS_ERROR
    return {"connect": "connection_refused", "upgrade": "connection_refused", "url": "invalid_url"}.get(
        step, "general_error"
    )


def open_stream(
    kind: type[_S],
    world: World,
    call: StreamedCall,
    params: Mapping[str, Any],
    *,
    control_id: str,
    tracks: tuple[str, ...],
    **more: Any,
) -> _S:
    """Open a stream with the parameters from a command or stream device.

    :param kind: stream class.
    :param world: the simulator's internal state.
    :param call: call that the stream belongs to.
    :param params: command or device parameters.
    :param control_id: stream ID.
    :param tracks: tracks to send.
    :param more: additional fields for the class.
    """
    stream = kind(
        world=world,
        call=call,
        control_id=control_id,
        url=params["url"],
        tracks=tracks,
        format=parse_codec(params.get("codec"), round(world.settings.ptime * 1000)),
        name=params.get("name"),
        custom_parameters=params.get("custom_parameters"),
        token=params.get("authorization_bearer_token"),
        status_url=params.get("status_url", "").partition("#")[0],
        status_url_method=params.get("status_url_method", "POST"),
        **more,
    )
    call.streams.append(stream)
    call.board.changed()
    stream.begin()
    return stream
