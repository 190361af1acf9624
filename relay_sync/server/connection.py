"""An open WebSocket connection, either accepted or dialed.

``websockets`` provides the sans-I/O protocol implementation, and a ``Channel`` transfers the bytes. This module
connects the two: it assembles messages from frames, enforces limits, and runs the closing handshake with its timeout.
Callbacks run on the loop thread and must not block.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from attrs import frozen

from ..threads import logs
from .channel import Channel
from .http import Headers
from .library import Frame, InvalidState, Opcode, Protocol, State, apply_mask
from .loop import Loop, Timer
from .splitting import Splitter

__all__ = ["CloseInfo", "Connection"]

_log = logs.get("relay_sync.server").later
CLOSE_TIMEOUT = 2.0  # seconds to wait for the peer's close frame


@frozen
class CloseInfo:
    """Information about how a connection was closed.

    :ivar code: the close code sent by the side that closed first, or ``None`` if neither side sent a close frame. 1005
        means that the close frame had no code.
    :ivar reason: the reason sent with the code, or a description of the failure.
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
    """One open WebSocket connection.

    :ivar path: the request path, without the query.
    :ivar query: the query string, or ``""``.
    :ivar headers: the request headers of an accepted connection, or the response headers of a dialed one.
    :ivar remote: the peer's address, as ``address:port``.
    :ivar on_message: called with each message: ``str`` for text, ``bytes`` for binary. Set it in ``on_open``.
    :ivar on_text: called before ``on_message`` with the raw bytes of most text messages, which may not be valid UTF-8.
        If it returns true, ``on_message`` is not called.
    :ivar on_close: called exactly once, after the last message.
    :ivar on_drain: called when ``buffered`` falls to ``low_water`` or below after exceeding it.

    Pings are answered automatically. Compression is not offered. The connection closes with code 1007 if a text message
    is not valid UTF-8, with code 1009 if a message exceeds the size limit, and with code 1002 on other protocol errors.
    Oversized messages are rejected before they are buffered. If more than ``max_buffer`` bytes are waiting to be sent,
    the connection is dropped because the peer is too slow.
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
        "_steady",
        "_usual_head",
        "_usual_size",
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
        self._splitter = splitter  # None if all data goes through the protocol's own parser
        self._on_proven = on_proven
        self._on_gone = on_gone  # called when the socket is closed, to keep count of connections
        self._fragments: bytearray | None = None
        self._fragments_are_text = False
        self._held: deque[Frame] = deque()  # frames received while reading is paused
        self._paused = False
        self._final: CloseInfo | None = None  # how the connection ended, while frames are still held
        self._over = False  # on_close has been called or scheduled
        self._steady = False  # open and not paused, without a held or incomplete frame, when data was last parsed
        self._usual_head, self._usual_size = b"", 0  # header and size of that data, if it was one text message
        self._close_timer: Timer | None = None
        self._lock = threading.RLock()  # guards _inbox and _inbox_bytes
        self._inbox: list[tuple[bytes, bool]] = []  # messages, each with whether it is text
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
        """The peer's address, as ``address:port``."""
        return self._channel.remote

    @property
    def loop(self) -> Loop:
        """The loop that runs the connection."""
        return self._loop

    @property
    def is_open(self) -> bool:
        """Whether messages can still be sent."""
        return not self._over and self._protocol.state is State.OPEN

    @property
    def buffered(self) -> int:
        """Number of bytes passed to :meth:`send` that the operating system has not accepted yet."""
        return self._channel.buffered + self._inbox_bytes

    @property
    def low_water(self) -> int:
        """Threshold for ``on_drain``, in bytes. The default is 64 KiB."""
        return self._channel.low_water

    @low_water.setter
    def low_water(self, value: int) -> None:
        self._channel.low_water = value

    def send(self, message: str | bytes) -> bool:
        """Send a message without blocking: ``str`` as text, ``bytes`` as binary.

        Messages sent during one loop iteration are combined into one write. Messages sent by one thread stay in order.

        :param message: the message.
        :return: ``False`` if the connection is closed, or is being dropped because the peer is too slow.
        """
        is_text = isinstance(message, str)
        data = message.encode() if isinstance(message, str) else message
        size = len(data)
        if self._loop.on_loop_thread:
            return self._send(data, is_text)
        if not self.is_open:
            return False
        with self._lock:
            fits = self._inbox_bytes + size <= self._channel.max_buffer
            if fits:
                self._inbox.append((data, is_text))
                self._inbox_bytes += size
                if self.buffered > self._channel.low_water:
                    self._channel.high = True
        # Wake the loop for every message. If Ctrl-C interrupts a thread between queueing and waking, the next call
        # still sends everything that is queued.
        self._loop.call_soon(self._empty_inbox if fits else self._too_slow)
        return fits

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Start the closing handshake and return. ``on_close`` is called within ``close_timeout`` seconds.

        :param code: a close code that RFC 6455 allows in a close frame.
        :param reason: the reason, truncated to 123 bytes of UTF-8.
        """
        if self._loop.on_loop_thread:
            self._close(code, reason)
        else:
            self._loop.call_soon(self._close, code, reason)

    def abort(self, reset: bool = False) -> None:
        """Drop the connection without a closing handshake. If ``reset`` is true, send a TCP reset."""
        self._loop.call_soon(self._abort, reset)

    def pause_reading(self) -> None:
        """Stop delivering messages until :meth:`resume_reading` is called. TCP flow control slows the peer down.

        When called on the loop thread, this takes effect with the next message. While paused, disconnects are not
        detected. :meth:`close` and :meth:`abort` work as usual.
        """
        if self._loop.on_loop_thread:
            self._set_paused(True)
        else:
            self._loop.call_soon(self._set_paused, True)

    def resume_reading(self) -> None:
        """Resume delivering messages. Messages received while paused are delivered in a later loop iteration."""
        self._loop.call_soon(self._set_paused, False)

    # -- for the loop thread only --------------------------------------------------------------------------------------

    def prove(self) -> None:
        """Mark the peer as legitimate, so that a full server does not close this connection to make room for another."""
        if self._on_proven is not None:
            self._on_proven(self)

    def dismiss(self, code: int, reason: str) -> None:
        """Send a close frame and close the socket without waiting for the reply."""
        if not self._over:
            self._close(code, reason)
            self._held.clear()
            self._announce(self._final or CloseInfo(code, reason, False))
        self._gone()

    def loop_stopping(self) -> None:
        """Close with code 1001 without waiting for the reply."""
        self.dismiss(1001, "going away")

    def start(self, data: bytes, frames: list[Frame]) -> None:
        """Process data and frames that arrived along with the upgrade."""
        for frame in frames:
            self._on_frame(frame)
        if data:
            self._on_data(data)
        else:
            self._settle()

    # -- sending -------------------------------------------------------------------------------------------------------

    def _send(self, data: bytes, is_text: bool) -> bool:
        protocol = self._protocol
        if self._over:
            return False
        try:
            if is_text:
                protocol.send_text(data)
            else:
                protocol.send_binary(data)
        except InvalidState:
            return False
        for chunk in protocol.data_to_send():
            self._channel.write(chunk)
        return not self._over

    def _empty_inbox(self) -> None:
        with self._lock:
            messages, self._inbox = self._inbox, []
            self._inbox_bytes = 0
        for data, is_text in messages:
            if not self._send(data, is_text):
                return

    def _close(self, code: int, reason: str) -> None:
        if self._over or self._protocol.state is not State.OPEN:
            return
        self._empty_inbox()
        self._protocol.send_close(code, reason.encode()[:123].decode(errors="ignore"))
        self._set_paused(False)  # while paused, the peer's close frame would not be received
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
            self._channel.high = True  # data from another thread has not reached the channel yet
        elif self.on_drain is not None and not self._over:
            self.on_drain()

    # -- receiving -----------------------------------------------------------------------------------------------------

    def _on_data(self, data: bytes) -> None:
        splitter = self._splitter
        if splitter is None:
            self._parse(data)
            return
        if self._steady and len(data) == self._usual_size and data[:4] == self._usual_head and self.on_text is not None:
            # A media stream consists of nearly nothing but whole messages of the same size.
            text = apply_mask(data[8:], data[4:8])
            try:
                if not self.on_text(text):
                    self._deliver(text, True)
            except BaseException:
                self._loop.fault("on_text of a connection failed")
            return
        protocol = self._protocol
        for kind, part in splitter.split(data):
            if not kind:
                self._parse(part)
            elif protocol.state is State.OPEN and not self._paused and not self._held:
                if kind == 1:
                    self._deliver_text(part)
                else:
                    self._deliver(part, False)
            elif protocol.close_rcvd is None and protocol.parser_exc is None:
                self._take(Frame(Opcode.TEXT if kind == 1 else Opcode.BINARY, part))
        if protocol.state is not State.OPEN:
            self._settle()
        self._steady = splitter.between and self.is_open and not (self._paused or self._held)
        self._usual_head, self._usual_size = data[:4], splitter.size_of_text(data)

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
                self._held.append(frame)  # type: ignore[arg-type]  # after the upgrade, all events are frames
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
                    self._settle()
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
            return  # the closing handshake needs the peer's close frame
        self._paused = paused
        self._steady = False
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
        """Send the protocol's pending output and check whether the connection is ending."""
        protocol, channel = self._protocol, self._channel
        for chunk in protocol.data_to_send():
            if chunk:
                channel.write(chunk)
            else:
                channel.finish()
        if protocol.state is State.OPEN:
            return
        self._steady = False
        if self._close_timer is None:
            self._close_timer = self._loop.call_later(self.close_timeout, self._give_up)
        # After a close frame or a protocol error, no further message can arrive, so do not wait for the socket to
        # close.
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
        self._steady = False
        if self._over:
            return
        if self._held:  # report the end after the held frames, once reading resumes
            self._final = info
            return
        self._over = True
        self._loop.call_soon(self._call_on_close, info)

    def _call_on_close(self, info: CloseInfo) -> None:
        self.on_close(info)
        # The owner's callbacks usually refer to this object. Drop the references so that no cycle waits for the garbage
        # collector.
        self.on_message, self.on_close, self.on_drain, self.on_text = _ignore_message, _ignore_close, None, None

    def _gone(self) -> None:
        self._channel.drop()
        if self._close_timer is not None:
            self._close_timer.cancel()
        if self._over:  # otherwise a paused reader has not been notified yet
            self._loop.release(self)
        self._on_gone(self)
        self._on_gone = _ignore_gone


def _ignore_gone(_connection: Connection) -> None:
    pass
