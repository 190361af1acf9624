"""One WebSocket, accepted or dialed, after its upgrade.

Callbacks run on the loop thread and must not block. ``websockets`` does the protocol (its sans-I/O part), the channel
carries the bytes, and this joins them: messages out of frames, limits, the closing handshake and its timeout.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from attrs import frozen

from ..threads import logs
from .channel import Channel
from .http import Headers
from .library import Frame, InvalidState, Opcode, Protocol, State
from .loop import Loop, Timer
from .splitting import Splitter

__all__ = ["CloseInfo", "Connection"]

_log = logs.get("relay_sync.server").later
_OPEN = State.OPEN
CLOSE_TIMEOUT = 2.0  # seconds a peer gets for its half of the closing handshake


@frozen
class CloseInfo:
    """How a connection closed.

    :ivar code: the close code of the side that closed first; ``None`` if neither did. 1005 means a close frame without a code.
    :ivar reason: the text sent with the code, or what broke the connection.
    :ivar clean: whether both sides sent a close frame.
    """

    code: int | None
    reason: str
    clean: bool


def _ignore_message(_message: str | bytes) -> None:
    pass


def _ignore_close(_info: CloseInfo) -> None:
    pass


class Connection:
    """One open WebSocket.

    :ivar path: the path asked for, without its query.
    :ivar query: the query, or ``""``.
    :ivar headers: of the request if accepted, of the response if dialed.
    :ivar remote: the peer, as ``address:port``.
    :ivar on_message: called with every message, ``str`` for text and ``bytes`` for binary. Set it in ``on_open``.
    :ivar on_text: sees most texts first, as bytes not yet checked to be UTF-8; if it returns true, the message
        is done with.
    :ivar on_close: called exactly once, after the last message, as soon as no other can come.
    :ivar on_drain: called when ``buffered`` has fallen under ``low_water`` after having been over it.

    A message that is not UTF-8 ends the connection with code 1007, one longer than the limit with 1009 before it is
    buffered, other breaches of the protocol with 1002. Pings are answered. More than ``max_buffer`` unsent bytes end
    the connection at once: its peer is too slow. Compression is not offered.
    """

    __slots__ = (
        "_channel",
        "_close_timer",
        "_final",
        "_fragments",
        "_fragments_are_text",
        "_held",
        "_inbox",
        "_inbox_bytes",
        "_lock",
        "_loop",
        "_on_gone",
        "_on_proven",
        "_over",
        "_paused",
        "_protocol",
        "_splitter",
        "close_timeout",
        "headers",
        "on_close",
        "on_drain",
        "on_message",
        "on_text",
        "path",
        "query",
    )

    def __init__(
        self,
        loop: Loop,
        channel: Channel,
        protocol: Protocol,
        *,
        path: str,
        query: str,
        headers: Headers,
        on_gone: Callable[[Connection], object],
        on_proven: Callable[[Connection], object] | None = None,
        splitter: Splitter | None = None,
    ) -> None:
        self.path: str = path
        self.query: str = query
        self.headers: Headers = headers
        self.on_message: Callable[[str | bytes], object] = _ignore_message
        self.on_close: Callable[[CloseInfo], object] = _ignore_close
        self.on_text: Callable[[bytes], bool] | None = None
        self.on_drain: Callable[[], object] | None = None
        self.close_timeout: float = CLOSE_TIMEOUT
        self._loop = loop
        self._channel = channel
        self._protocol = protocol
        self._splitter = splitter  # None where the protocol gets everything
        self._on_proven = on_proven
        self._on_gone = on_gone  # for counting sockets: the socket itself is closed
        self._fragments: bytearray | None = None
        self._fragments_are_text = False
        self._held: deque[Frame] = deque()  # received, but the reader is paused
        self._paused = False
        self._final: CloseInfo | None = None  # how it ended, while frames are still held
        self._over = False  # on_close is due or done
        self._close_timer: Timer | None = None
        self._lock = threading.RLock()  # guards _inbox and _inbox_bytes
        self._inbox: list[bytes] = []
        self._inbox_bytes = 0
        channel.on_data = self._on_data
        channel.on_end = self._on_end
        channel.on_overflow = self._too_slow
        channel.on_drain = self._drained
        loop.host(self)

    def __repr__(self) -> str:
        return f"<Connection {self.remote} {self.path} {'closed' if self._over else 'open'}>"

    # -- for any thread ------------------------------------------------------------------------------------------------

    @property
    def remote(self) -> str:
        """The peer, as ``address:port``."""
        return self._channel.remote

    @property
    def is_open(self) -> bool:
        """Whether messages can still be sent."""
        return not self._over and self._protocol.state is State.OPEN

    @property
    def buffered(self) -> int:
        """Bytes accepted by :meth:`send` and not yet taken by the operating system."""
        return self._channel.buffered + self._inbox_bytes

    @property
    def low_water(self) -> int:
        """Bytes; see ``on_drain``. 64 KiB unless set."""
        return self._channel.low_water

    @low_water.setter
    def low_water(self, value: int) -> None:
        self._channel.low_water = value

    def send(self, text: str) -> bool:
        """Send one text message; never blocks.

        Messages of one turn of the loop leave in one write. Messages of one thread keep their order.

        :return: ``False`` when the connection is over (or just being ended as too slow) and nothing will be sent.
        """
        data = text.encode()
        size = len(data)
        if self._loop.on_loop_thread:
            return self._send(data)
        if not self.is_open:
            return False
        with self._lock:
            fits = self._inbox_bytes + size <= self._channel.max_buffer
            if fits:
                self._inbox.append(data)
                self._inbox_bytes += size
                if self.buffered > self._channel.low_water:
                    self._channel.high = True
        # Each time: a Ctrl-C between queueing and waking would otherwise leave the messages of all others lying, too.
        self._loop.call_soon(self._empty_inbox if fits else self._too_slow)
        return fits

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Begin the closing handshake and return; ``on_close`` follows, after ``close_timeout`` seconds at the latest.

        :param code: 1000 to 1014 as RFC 6455 allows, or 3000 to 4999.
        :param reason: cut at 123 bytes of UTF-8.
        """
        if self._loop.on_loop_thread:
            self._close(code, reason)
        else:
            self._loop.call_soon(self._close, code, reason)

    def abort(self, reset: bool = False) -> None:
        """Drop the connection without a closing handshake; *reset* sends a TCP reset."""
        self._loop.call_soon(self._abort, reset)

    def pause_reading(self) -> None:
        """Stop delivering messages until :meth:`resume_reading`; TCP slows the peer down.

        On the loop thread this takes effect with the next message. While paused, the end of the connection is not noticed.
        :meth:`close` and :meth:`abort` work as usual.
        """
        if self._loop.on_loop_thread:
            self._set_paused(True)
        else:
            self._loop.call_soon(self._set_paused, True)

    def resume_reading(self) -> None:
        """Take up again what :meth:`pause_reading` stopped; what was held comes in a later turn of the loop."""
        self._loop.call_soon(self._set_paused, False)

    # -- for the loop, on its thread -----------------------------------------------------------------------------------

    def prove(self) -> None:
        """Mark the peer as legitimate: it keeps its place when the server is full."""
        if self._on_proven is not None:
            self._on_proven(self)

    def dismiss(self, code: int, reason: str) -> None:
        """Send a close frame and close the socket, without waiting for an answer."""
        if not self._over:
            self._close(code, reason)
            self._held.clear()
            self._announce(self._final or CloseInfo(code, reason, False))
        self._gone()

    def loop_stopping(self) -> None:
        """Close with 1001 without waiting for an answer."""
        self.dismiss(1001, "going away")

    def start(self, data: bytes, frames: list[Frame]) -> None:
        """Take up what arrived together with the upgrade."""
        for frame in frames:
            self._on_frame(frame)
        if data:
            self._on_data(data)
        else:
            self._settle()

    # -- sending -------------------------------------------------------------------------------------------------------

    def _send(self, data: bytes) -> bool:
        protocol = self._protocol
        if self._over:
            return False
        try:
            protocol.send_text(data)
        except InvalidState:
            return False
        for chunk in protocol.data_to_send():
            self._channel.write(chunk)
        return not self._over

    def _empty_inbox(self) -> None:
        with self._lock:
            messages, self._inbox = self._inbox, []
            self._inbox_bytes = 0
        for data in messages:
            if not self._send(data):
                return

    def _close(self, code: int, reason: str) -> None:
        if self._over or self._protocol.state is not State.OPEN:
            return
        self._empty_inbox()
        self._protocol.send_close(code, reason.encode()[:123].decode(errors="ignore"))
        self._set_paused(False)  # a paused reader would never see the answer
        self._settle()

    def _abort(self, reset: bool) -> None:
        self._held.clear()
        self._announce(CloseInfo(None, "aborted", False))
        self._channel.drop(reset=reset)
        self._gone()

    def _too_slow(self) -> None:
        if self._over:
            return
        self._held.clear()
        reason = f"too slow: the peer left more than {self._channel.max_buffer} bytes unread"
        self._loop.warn("slow", "%s: %s; connection dropped", self.remote, reason)
        self._announce(CloseInfo(None, reason, False))
        self._channel.drop(reset=True)
        self._gone()

    def _drained(self) -> None:
        if self.buffered > self._channel.low_water:
            self._channel.high = True  # data sent by another thread has yet to reach the channel
        elif self.on_drain is not None and not self._over:
            self.on_drain()

    # -- receiving -----------------------------------------------------------------------------------------------------

    def _on_data(self, data: bytes) -> None:
        splitter = self._splitter
        if splitter is None:
            self._parse(data)
            return
        protocol = self._protocol
        if protocol.state is _OPEN and not self._paused and not self._held:
            text = splitter.whole_text(data)
            if text is not None:
                self._deliver_text(text)
                if protocol.state is not _OPEN:
                    self._settle()
                return
        for kind, part in splitter.split(data):
            if not kind:
                self._parse(part)
            elif protocol.state is _OPEN and not self._paused and not self._held:
                if kind == 1:
                    self._deliver_text(part)
                else:
                    self._deliver(part, False)
            elif protocol.close_rcvd is None and protocol.parser_exc is None:
                self._take(Frame(Opcode.TEXT if kind == 1 else Opcode.BINARY, part))
        if protocol.state is not State.OPEN:
            self._settle()

    def _take(self, frame: Frame) -> None:
        if self._paused or self._held:
            self._held.append(frame)
        else:
            self._on_frame(frame)

    def _parse(self, data: bytes) -> None:
        protocol = self._protocol
        if protocol.state is State.CLOSED:
            return
        protocol.receive_data(data)
        for frame in protocol.events_received():
            if self._paused:
                self._held.append(frame)  # type: ignore[arg-type]  # after the upgrade, frames are all there is
            else:
                self._on_frame(frame)  # type: ignore[arg-type]
        self._settle()

    def _on_frame(self, frame: Frame) -> None:
        opcode = frame.opcode
        if opcode is Opcode.TEXT or opcode is Opcode.BINARY:
            if frame.fin:
                self._deliver(frame.data, opcode is Opcode.TEXT)
            else:
                self._fragments = bytearray(frame.data)
                self._fragments_are_text = opcode is Opcode.TEXT
        elif opcode is Opcode.CONT and self._fragments is not None:
            self._fragments += frame.data
            if frame.fin:
                whole, self._fragments = self._fragments, None
                self._deliver(whole, self._fragments_are_text)

    def _deliver(self, data: bytes | bytearray | memoryview, is_text: bool) -> None:
        if self._over:
            return
        message: str | bytes
        if is_text:
            try:
                message = str(data, "utf-8")
            except UnicodeDecodeError:
                if self._protocol.state is State.OPEN:
                    self._protocol.fail(1007, "text that is not UTF-8")
                return
        else:
            message = bytes(data)
        try:
            self.on_message(message)
        except BaseException:
            self._loop.fault("on_message of a connection failed")

    def _deliver_text(self, data: bytes) -> None:
        if self.on_text is not None and not self._over:
            try:
                if self.on_text(data):
                    return
            except BaseException:
                self._loop.fault("on_text of a connection failed")
                return
        self._deliver(data, True)

    def _set_paused(self, paused: bool) -> None:
        if self._over or paused == self._paused:
            return
        if paused and self._protocol.close_sent is not None and self._protocol.close_rcvd is None:
            return  # we are closing, and the answer is still to be seen
        self._paused = paused
        if paused:
            self._channel.pause()
            return
        while self._held and not self._paused:
            self._on_frame(self._held.popleft())
        if self._paused:
            return
        if self._final is not None:
            self._announce(self._final)
        if self._channel.closed:
            self._gone()
        else:
            self._channel.resume()
            self._settle()

    # -- ending --------------------------------------------------------------------------------------------------------

    def _settle(self) -> None:
        """Send what the protocol has to say, and see whether the connection is ending."""
        protocol, channel = self._protocol, self._channel
        for chunk in protocol.data_to_send():
            if chunk:
                channel.write(chunk)
            else:
                channel.finish()
        if protocol.state is State.OPEN:
            return
        if self._close_timer is None:
            self._close_timer = self._loop.call_later(self.close_timeout, self._give_up)
        # Once the peer has closed, or broken the protocol, nothing more can be received: do not wait for the socket.
        ended = protocol.close_rcvd is not None or protocol.parser_exc is not None or protocol.eof_sent
        if ended or protocol.state is State.CLOSED:
            self._announce(self._outcome(None))
        if protocol.state is State.CLOSED:
            channel.drop()
            self._gone()

    def _outcome(self, error: Exception | None) -> CloseInfo:
        received, sent = self._protocol.close_rcvd, self._protocol.close_sent
        first = received if sent is None or self._protocol.close_rcvd_then_sent else sent
        if first is not None:
            return CloseInfo(int(first.code), first.reason, received is not None and sent is not None)
        return CloseInfo(None, str(error) if error else "the connection ended without a close frame", False)

    def _on_end(self, error: Exception | None) -> None:
        if error is None and self._protocol.state is not State.CLOSED:
            self._protocol.receive_eof()
            self._settle()
        self._announce(self._outcome(error))
        self._channel.drop()
        self._gone()

    def _give_up(self) -> None:
        self._announce(self._outcome(None))
        self._channel.drop()
        self._gone()

    def _announce(self, info: CloseInfo) -> None:
        if self._over:
            return
        if self._held:  # what was received comes first, when the reader is resumed
            self._final = info
            return
        self._over = True
        self._loop.call_soon(self._tell, info)

    def _tell(self, info: CloseInfo) -> None:
        self.on_close(info)
        # The owner's callbacks usually refer to this object: release them so that nothing waits for the collector.
        self.on_message, self.on_close, self.on_drain, self.on_text = _ignore_message, _ignore_close, None, None

    def _gone(self) -> None:
        self._channel.drop()
        if self._close_timer is not None:
            self._close_timer.cancel()
        if self._over:  # else a paused reader is still to be notified
            self._loop.release(self)
        self._on_gone(self)
        self._on_gone = _ignore_gone


def _ignore_gone(_connection: Connection) -> None:
    pass
