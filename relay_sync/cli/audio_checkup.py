"""Checks of ``relay-sync doctor --audio``: the way from the outside to the program's own receivers."""

from __future__ import annotations

import ipaddress
import json
import os
import secrets
import ssl
import time
from collections.abc import Generator, Iterator
from contextlib import suppress
from typing import Final, Literal
from urllib.parse import urlsplit

from .. import receivers
from ..audio import AudioServer, AudioStream
from ..audio.gate import Expected
from ..audio.messages import MediaFormat, connected_message, media_message, start_message, stop_message
from ..audio.server import inside
from ..connection.addresses import AddressInfo
from ..connection.upgrade import NoUpgrade
from ..errors import RelayError, StreamFailed
from ..hosts.authorities import only, system_only, trust_variables, trusting
from ..hosts.listening import url_host
from ..hosts.names import is_loopback
from ..hosts.proxies import Unusable
from ..text.secrecy import Secrets, keep
from .checkup import Finding
from .proxy_mistakes import (
    Misrouted,
    Place,
    is_a_receiver,
    of_answer,
    of_certificate,
    of_handshake,
    of_no_answer,
    seconds_left,
)
from .way_in import Answer, Lost, Silent, WayIn, printable

__all__ = ["audio", "audio_servers", "way_to"]

#: Remaining lifetime of a certificate below which its renewal is overdue, in seconds.
RENEWAL: Final = 14 * 86400
#: Maximum time until the program notices a connection whose upgrade succeeded, in seconds.
ARRIVAL: Final = 2.0
#: Longest time that a frame should take in one direction, in seconds. If it takes longer, a proxy may buffer.
SLOW: Final = 0.5
#: Number of frames to send in each direction. A single one could be held back by a reader that waits for more.
FRAMES: Final = 5
_FRAME_MS: Final = 20
_RATE: Final = 8000
_PAYLOAD: Final = bytes(range(0x60, 0x88)) * 4  # 20 ms of PCMU
_TONE: Final = (b"\x00\x10" * 4 + b"\x00\xf0" * 4) * 20  # 20 ms of PCM at 1 kHz
_LAST: Final = 2 * FRAMES + 2  # sequence number of the last message
_LEAST: Final = 0.001  # shortest wait, in seconds
_POLL: Final = 0.02  # seconds between two looks at what has no bell


def audio_servers() -> list[AudioServer]:
    """Return the receivers that the program has created and not closed, the oldest first."""
    return [each for each in receivers.servers() if isinstance(each, AudioServer) and not inside(each)[0].closed]


def audio(*, remote: bool, ca_file: str | None, timeout: float, silence: float) -> Iterator[Finding]:
    """Check the way to each of the program's receivers.

    :param remote: whether the client's platform is on another machine, which cannot reach a loopback address.
    :param ca_file: additional certificate authority to trust.
    :param timeout: timeout of each step, in seconds.
    :param silence: time to leave the connection silent, in seconds; 0 skips this check.
    """
    found = audio_servers()
    if not found:
        yield Finding(
            "bad",
            "audio",
            "the program creates no AudioServer when it is imported",
            "create it at module level, beside the client, so that this command finds it",
        )
    for number, server in enumerate(found, 1):
        name = "audio" if len(found) == 1 else f"audio {number}"
        yield from way_to(server, name=name, remote=remote, ca_file=ca_file, timeout=timeout, silence=silence)


def way_to(
    server: AudioServer,
    *,
    name: str = "audio",
    remote: bool = False,
    ca_file: str | None = None,
    timeout: float = 10.0,
    silence: float = 0.0,
) -> Iterator[Finding]:
    """Check the way to one receiver, from the name to a frame in each direction, until a check fails.

    :param server: the receiver. If it is not started, it is started for the checks and closed after them.
    :param name: prefix of the names of the checks.
    :param remote: as for :func:`audio`.
    :param ca_file: as for :func:`audio`.
    :param timeout: as for :func:`audio`.
    :param silence: as for :func:`audio`.
    """
    return _Checkup(server, name, remote=remote, ca_file=ca_file, timeout=timeout, silence=silence).findings()


class _Stopped(Exception):
    """A check failed, and later checks would fail for the same reason."""


class _Checkup:
    """The checks of :func:`way_to`."""

    def __init__(
        self, server: AudioServer, name: str, *, remote: bool, ca_file: str | None, timeout: float, silence: float
    ) -> None:
        self._server = server
        self._address, self._gate = inside(server)
        self._name = name
        self._remote = remote
        self._ca_file = ca_file
        self._timeout = timeout
        self._silence = silence

    def findings(self) -> Iterator[Finding]:
        """Run the checks in order, until one fails."""
        was_started = self._address.port is not None
        # Until the end of the checks, no stream of the platform may come here: this process would soon drop it.
        self._gate.trials_only = not was_started
        try:
            ours = yield from self._started()
            way = WayIn(self._address.url, self._timeout)
            yield from self._url(way)
            try:
                yield from self._along(way, ours)
            finally:
                way.close()
        except _Stopped:
            pass
        except Unusable as error:  # the proxy or a file of authorities that the environment names
            yield Finding("bad", self._name, str(error))
        finally:
            if not was_started and self._address.port is not None:
                self._server.close()
            self._gate.trials_only = False

    def _along(self, way: WayIn, ours: bool) -> Iterator[Finding]:
        found = yield from self._connected(way)
        if way.secure:
            yield from self._secured(way, found)
        if not ours:
            yield from self._answered_elsewhere(way)
            return
        with self._gate.expecting(two_way=True, trial=True, sample_rate=_RATE) as (token, expected):
            kept = keep(Secrets(token))  # a server may repeat the token in its response
            try:
                yield from self._upgraded(way, token, expected)
                yield from self._exchanged(way, expected)
            finally:
                way.close()  # first, so that the stream does not wait for an answer to its close frame
                if expected.stream is not None:
                    expected.stream.close()
                del kept

    # -- the receiver --------------------------------------------------------------------------------------------------

    def _started(self) -> Generator[Finding, None, bool]:
        """Start the receiver.

        :return: whether this process listens, so that the token and the frames can be checked.
        """
        try:
            self._server.start()
        except OSError as error:
            advice = (
                "if the running program has it, the checks below end at that program, which does not know the token; to check"
                " everything, stop the program, or give AudioServer a range with a port to spare"
            )
            yield self._note("", error.strerror or str(error), advice)
            return False
        except RelayError as error:
            yield self._bad("", error.message)
            raise _Stopped from error
        return True

    def _url(self, way: WayIn) -> Iterator[Finding]:
        place = self._place
        listens = "" if self._address.port is None else f", this process listens on {place.listens}"
        listens += f", one of the ports {self._address.shown_ports}" if listens and self._address.chooses else ""
        if not is_loopback(way.host):
            yield self._ok("", f"{way.url}{listens}")
            return
        advice = (
            'pass public_url="wss://..." to AudioServer, with the name under which the platform reaches this machine'
        )
        seen = f"{way.url}{listens}: only this machine can reach this address"
        if self._remote:
            yield self._bad("", seen, advice)
            raise _Stopped
        yield self._note("", seen, f"for a real number, {advice}")

    @property
    def _place(self) -> Place:
        address = self._address
        ports = address.shown_ports if address.chooses and address.routed_by_port else ""
        port = address.shown_ports if address.port is None else address.port
        return Place(self._gate.path or urlsplit(address.url).path, f"{url_host(address.host)}:{port}", ports)

    # -- steps ---------------------------------------------------------------------------------------------------------

    def _connected(self, way: WayIn) -> Generator[Finding, None, list[AddressInfo]]:
        if way.proxy is not None:
            yield self._ok("name", f"{way.host} is resolved by {way.proxy}")
            yield from self._reached(way, [])
            return []
        try:
            found = way.resolve()
        except (OSError, UnicodeError) as error:
            words = getattr(error, "strerror", None) or error
            advice = "check the spelling in public_url, and that the name has an A or AAAA record"
            yield self._bad("name", f"{way.host}: {words}", advice)
            raise _Stopped from error
        addresses = [info[4][0] for info in found]
        seen = f"{way.host} resolves to {', '.join(addresses)}"
        private = [each for each in addresses if not ipaddress.ip_address(each.partition("%")[0]).is_global]
        if private and not is_loopback(way.host):
            advice = "if the name has another address elsewhere, run this command from outside your network as well"
            yield self._note("name", f"{seen}; the platform cannot reach {private[0]}", advice)
        else:
            yield self._ok("name", seen)
        yield from self._reached(way, found)
        return found

    def _reached(self, way: WayIn, found: list[AddressInfo]) -> Iterator[Finding]:
        started = time.monotonic()
        try:
            way.connect(found)
        except RelayError as error:
            yield self._bad("port", error.message)
            raise _Stopped from error
        except (OSError, UnicodeError) as error:
            yield self._unreachable(way, error)
            raise _Stopped from error
        yield self._ok("port", f"{way.address} accepts connections, {_ms(started)}")
        for address, why in [] if is_loopback(way.host) else way.silent_among(found):
            advice = f"remove the record of {address} from DNS, or have the proxy listen there too: the platform may choose it"
            yield self._note("port", f"{address} port {way.port}: {why}", advice)

    def _unreachable(self, way: WayIn, error: OSError | UnicodeError) -> Finding:
        """Describe why the TCP connection could not be opened."""
        place = str(way.proxy or way.address)
        late = isinstance(error, TimeoutError)
        if way.proxy is not None:  # this machine's own way to the outside, which the platform does not use
            advice = f"check {way.proxy.source}, and that the proxy is running"
        elif late:
            advice = (
                "open the port in the firewall or security group, and forward it in the router; some routers do not answer"
                " from inside at all: then run this command from outside"
            )
        else:
            advice = f"start the proxy or tunnel, and have it listen on port {way.port}; check the firewall"
        if late:
            return self._bad("port", f"{place} does not answer within {self._timeout:g} s", advice)
        if isinstance(error, ConnectionRefusedError):
            return self._bad("port", f"{place} refuses connections: nothing listens there", advice)
        return self._bad("port", f"{place}: {getattr(error, 'strerror', None) or error}", advice)

    def _secured(self, way: WayIn, found: list[AddressInfo]) -> Iterator[Finding]:
        started = time.monotonic()
        try:
            sock = way.secured(trusting(self._ca_file))
        except OSError as error:
            yield self._misrouted("TLS", of_handshake(error, way.address))
            raise _Stopped from error
        try:
            sock.do_handshake()
        except ssl.SSLCertVerificationError as error:
            yield self._misrouted("TLS", of_certificate(error, sock, way.host))
            raise _Stopped from error
        except OSError as error:
            yield self._misrouted("TLS", of_handshake(error, way.address))
            raise _Stopped from error
        certificate = sock.getpeercert() or {}
        until = certificate.get("notAfter", "?")
        seen = f"{sock.version()}, certificate valid until {until}, {_ms(started)}"
        left = seconds_left(certificate)
        private = self._privately_trusted(way, found)
        if left < RENEWAL:
            advice = "renew it now: from that day, the platform refuses the connection"
            yield self._note("TLS", f"{seen}, which is in {max(0, left) / 86400:.0f} days", advice)
        elif private:
            advice = "the platform trusts public certificate authorities only"
            yield self._note("TLS", f"{seen}, trusted because of {private}", advice)
        else:
            yield self._ok("TLS", seen)

    def _privately_trusted(self, way: WayIn, found: list[AddressInfo]) -> str:
        """Return the settings because of which the certificate is trusted, or ``""`` if it is trusted without them."""
        sources = [*trust_variables(), *(["ca_file"] if self._ca_file else [])]
        context = system_only() if sources else None
        try:
            public = not sources or (context is not None and way.trusted_by(context, found))
        except (RelayError, OSError):
            public = False
        return "" if public else ", ".join(self._decisive(way, found, sources))

    def _decisive(self, way: WayIn, found: list[AddressInfo], sources: list[str]) -> list[str]:
        """Return those of the settings whose authorities are enough to trust the certificate; all of them if none is."""
        if len(sources) == 1:  # without a connection for each of its files
            return sources
        enough = []
        for name in sources:
            value = (self._ca_file if name == "ca_file" else os.environ.get(name)) or ""
            paths = value.split(os.pathsep) if name == "SSL_CERT_DIR" else [value]
            with suppress(Unusable, RelayError, OSError):
                if any(way.trusted_by(only(path, name=name), found) for path in paths if os.path.exists(path)):
                    enough.append(name)
        return enough or sources

    def _asked(self, way: WayIn, token: str, expected: Expected | None = None) -> Generator[Finding, None, Answer]:
        """Send the upgrade request.

        :param expected: the stream that the token is for, if this process listens.
        :return: the response.
        """
        try:
            return way.upgrade(token)
        except (NoUpgrade, OSError) as error:
            kinds = () if expected is None else self._gate.kinds_since(expected)
            yield self._misrouted("upgrade", of_no_answer(error, kinds, self._place, way))
            raise _Stopped from error

    def _upgraded(self, way: WayIn, token: str, expected: Expected) -> Iterator[Finding]:
        started = time.monotonic()
        answer = yield from self._asked(way, token, expected)
        if answer.status == 101:
            expected.changed.wait(min(ARRIVAL, self._timeout))
            yield self._ok("upgrade", f"HTTP 101, {_ms(started)}")
            if expected.arrived:
                yield self._ok("token", f"it arrived in this process with the path {self._gate.path}")
                return
            if "no token" in self._gate.kinds_since(expected):
                advice = (
                    'have the proxy forward it (nginx: remove proxy_set_header Authorization "" from this location)'
                )
                yield self._bad("token", "the request arrived in this program without the Authorization header", advice)
            else:
                advice = f"have the proxy route {way.path} to {self._place.listens}"
                yield self._bad("token", "another WebSocket server answered, not this program", advice)
            raise _Stopped
        kinds = self._gate.kinds_since(expected)
        yield self._misrouted("upgrade", of_answer(answer, kinds, self._place, self._address.url))
        raise _Stopped

    def _answered_elsewhere(self, way: WayIn) -> Iterator[Finding]:
        """Ask for the WebSocket with a token that no process knows. A receiver refuses it."""
        started = time.monotonic()
        answer = yield from self._asked(way, secrets.token_urlsafe(32))
        if is_a_receiver(answer):
            seen = f"HTTP {answer.status}, {_ms(started)}: an AudioServer refused an unknown token, as it should"
            yield self._ok("upgrade", seen)
        elif answer.status == 101:
            yield self._bad("upgrade", "a WebSocket server that checks no token answered", "is it this program?")
        else:
            yield self._misrouted("upgrade", of_answer(answer, (), self._place, self._address.url))

    # -- frames --------------------------------------------------------------------------------------------------------

    def _exchanged(self, way: WayIn, expected: Expected) -> Iterator[Finding]:
        step = "in"
        try:
            started = time.monotonic()
            way.send(connected_message(), _start_message(), *_media_messages(0))
            stream = self._began(expected)
            stream.read(_FRAME_MS / 1000, self._timeout)
            yield self._timed(step, "a frame reached the program", started)
            step, started = "out", time.monotonic()
            stream.play(_TONE * FRAMES, wait=False)
            _until_media(way, self._timeout)
            yield self._timed(step, "a frame came back", started)
            step = "silence"
            if self._silence > 0:
                yield from self._kept_open(way, stream)
            way.send(stop_message(sequence=_LAST))
        except (Lost, RelayError) as error:
            seen = {"in": "no frame reached the program", "out": "no frame came back"}.get(
                step, "the connection failed"
            )
            advice = "check the log of the proxy: it may filter or buffer WebSocket messages"
            yield self._bad(step, f"{seen} ({error})", advice)
            raise _Stopped from error

    def _began(self, expected: Expected) -> AudioStream:
        """Return the stream, once the program has received ``start``."""
        deadline = time.monotonic() + self._timeout
        while expected.stream is None:
            if expected.over or time.monotonic() > deadline:
                raise StreamFailed("start did not arrive")
            expected.changed.wait(_POLL)
            expected.changed.clear()
        return expected.stream

    def _kept_open(self, way: WayIn, stream: AudioStream) -> Iterator[Finding]:
        """Send nothing for a while. Calls on hold may be silent for much longer than a proxy's usual timeout."""
        started = time.monotonic()
        end = started + self._silence
        try:
            while time.monotonic() < end:
                way.receive(max(_LEAST, end - time.monotonic()))  # the rest of what was played
        except Silent:
            pass
        except Lost as error:
            advice = "nginx: proxy_read_timeout 1h; proxy_send_timeout 1h; because a call on hold may be silent"
            after = time.monotonic() - started
            yield self._bad(
                "silence", f"the connection was closed after {after:.0f} s without a frame ({error})", advice
            )
            raise _Stopped from error
        before = stream.stats.frames
        way.send(*_media_messages(1))
        deadline = time.monotonic() + self._timeout
        while stream.stats.frames == before:
            if time.monotonic() > deadline:
                raise Lost(f"no frame arrived after {self._silence:g} s of silence")
            time.sleep(_POLL)
        yield self._ok("silence", f"the connection stays open for {self._silence:g} s without a frame")

    # -- findings ------------------------------------------------------------------------------------------------------

    def _ok(self, what: str, seen: str) -> Finding:
        return self._finding("ok", what, seen)

    def _note(self, what: str, seen: str, advice: str) -> Finding:
        return self._finding("note", what, seen, advice)

    def _bad(self, what: str, seen: str, advice: str = "") -> Finding:
        return self._finding("bad", what, seen, advice)

    def _misrouted(self, what: str, mistake: Misrouted) -> Finding:
        return self._finding("bad", what, mistake.seen, mistake.advice)

    def _timed(self, what: str, seen: str, started: float) -> Finding:
        took = time.monotonic() - started
        if took > SLOW:
            return self._note(what, f"{seen} after {took * 1000:.0f} ms", "a proxy on the way may buffer")
        return self._ok(what, f"{seen} after {took * 1000:.0f} ms")

    def _finding(self, verdict: Literal["ok", "note", "bad"], what: str, seen: str, advice: str = "") -> Finding:
        return Finding(verdict, f"{self._name} {what}".strip(), printable(seen, most=1000), advice)


def _start_message() -> str:
    return start_message(
        stream_id="relay-sync-doctor",
        account_id="relay-sync-doctor",
        call_id="relay-sync-doctor",
        tracks=("inbound",),
        media_format=MediaFormat("audio/x-mulaw", _RATE, 1),
    )


def _media_messages(batch: int) -> list[str]:
    """Return frames to send: the first ones, or those of the next batch."""
    return [
        media_message(
            track="inbound", sequence=number + 2, chunk=number + 1, timestamp=number * _FRAME_MS, payload=_PAYLOAD
        )
        for number in range(batch * FRAMES, (batch + 1) * FRAMES)
    ]


def _until_media(way: WayIn, timeout: float) -> None:
    """Receive messages until one contains audio.

    :raises Lost: no such message arrived in time, or a message is not one of a stream.
    """
    end = time.monotonic() + timeout
    while (left := end - time.monotonic()) > 0:
        try:
            message = way.receive(left)
        except Silent:
            break
        try:
            if json.loads(message)["event"] == "media":
                return
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            raise Lost(f"a message arrived that the program did not send: {printable(message)}") from error
    raise Lost(f"no audio arrived within {timeout:g} s")


def _ms(started: float) -> str:
    return f"{(time.monotonic() - started) * 1000:.0f} ms"
