"""``relay-sync doctor --audio``: each mistake on the way to a receiver is named by what it looks like from the outside."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import websocket

from relay_sync import Observer
from relay_sync.audio import AudioServer, AudioStream
from relay_sync.cli import audio_checkup, main
from relay_sync.cli.audio_checkup import audio_servers, way_to
from relay_sync.cli.checkup import Finding
from relay_sync.cli.way_in import WayIn
from relay_sync.simulator import Simulator
from tests.support import DATA
from tests.support.background import Background
from tests.support.carrier import Carrier
from tests.support.front import Front, Rewrite, certified, edited
from tests.support.ports import hold_port
from tests.support.scripted_http import Scripted, answer, drip, hang_up
from tests.support.tls import CERTIFICATE, tls_context

ROOT_CERTIFICATE = DATA / "tls" / "root.pem"


@pytest.fixture
def own_authority(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests' authority is trusted, and no other setting of the machine that runs the tests counts."""
    for name in ("SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", str(ROOT_CERTIFICATE))


@contextlib.contextmanager
def behind(front: Front, *, scheme: str = "ws", **options: Any) -> Iterator[AudioServer]:
    """A receiver whose public address is that of a front."""
    with front, AudioServer(public_url=f"{scheme}://localhost:{front.port}/audio", **options) as audio:
        front.target = audio.port
        yield audio


def found(audio: AudioServer, **options: Any) -> list[Finding]:
    findings = list(way_to(audio, **{"timeout": 5.0, **options}))
    assert all(each.verdict != "bad" for each in findings[:-1]), findings  # the rest could only say the same again
    return findings


def last(audio: AudioServer, **options: Any) -> Finding:
    """The failure."""
    finding = found(audio, **options)[-1]
    assert finding.verdict == "bad", finding
    assert finding.advice, finding
    return finding


def whats(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(each.verdict, each.what) for each in findings]


GOOD = [("ok", f"audio {step}") for step in ("name", "port", "upgrade", "token", "in", "out")]


# -- nothing is wrong --------------------------------------------------------------------------------------------------


def test_a_proxy_that_makes_no_mistake() -> None:
    with behind(Front()) as audio:
        findings = found(audio)
    assert whats(findings) == [("note", "audio"), *GOOD]  # the note: an address of loopback
    assert 'public_url="wss://..."' in findings[0].advice


@pytest.mark.usefixtures("own_authority")
def test_the_same_with_tls() -> None:
    with behind(Front(context=certified("full")), scheme="wss") as audio:
        findings = found(audio)
    assert whats(findings) == [("note", "audio"), *GOOD[:2], ("note", "audio TLS"), *GOOD[2:]]
    tls = findings[3]
    assert "certificate valid until" in tls.seen
    assert "trusted because of SSL_CERT_FILE" in tls.seen
    assert tls.advice == "the platform trusts public certificate authorities only"


@pytest.mark.usefixtures("own_authority")
def test_only_the_settings_that_make_the_certificate_trusted_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_DIR", "/nowhere")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(CERTIFICATE))
    with behind(Front(context=certified("full")), scheme="wss") as audio:
        tls = found(audio)[3]
    assert tls.seen.endswith("trusted because of SSL_CERT_FILE")


@pytest.mark.usefixtures("own_authority")
def test_a_receiver_with_tls_of_its_own() -> None:
    with AudioServer("localhost", ssl_context=certified("full")) as audio:
        assert whats(found(audio)) == [("note", "audio"), *GOOD[:2], ("note", "audio TLS"), *GOOD[2:]]


def test_what_was_not_started_is_closed_afterwards() -> None:
    audio = AudioServer()
    assert whats(found(audio)) == [("note", "audio"), *GOOD]
    assert repr(audio) == "<AudioServer closed>"


def test_the_program_does_not_see_the_test(tmp_path: Path) -> None:
    """No file, no handler, no observer: the program may run as another user, which could not write to such a folder."""
    seen: list[object] = []

    class Watching(Observer):
        def stream_started(self, stream: AudioStream) -> None:
            seen.append(stream)

    with AudioServer(on_stream=seen.append, record_to=tmp_path / "calls" / "{call_id}.wav") as audio:
        audio.observe(Watching())
        assert whats(found(audio)) == [("note", "audio"), *GOOD]
    assert not seen
    assert not list(tmp_path.iterdir())


def test_streams_of_the_platform_do_not_come_to_the_command(free_port: int) -> None:
    """A proxy may try each port of a range: the stream would end with the command."""
    server = AudioServer(port=free_port, token="of-the-program", on_stream=lambda stream: None)
    url = f"ws://127.0.0.1:{free_port}/audio"
    for finding in way_to(server):
        if finding.what == "audio name":  # it listens now
            for token in ("of-the-program", None):
                with pytest.raises(websocket.WebSocketBadStatusException, match="401"):
                    Carrier(url, token=token)
    assert finding.what == "audio out"
    with AudioServer(token="of-the-program") as started:  # a server that was started before keeps its streams
        for finding in way_to(started):
            if finding.what == "audio name":
                Carrier(started.url, token="of-the-program").ws.close()
    assert finding.what == "audio out"


def test_other_rates_and_ways_of_the_program_do_not_matter() -> None:
    pytest.importorskip("numpy", reason="needs the dsp extra")
    with AudioServer(token="a-token-of-the-program", sample_rate=16000, reorder_seconds=0.1, spool=False) as audio:
        assert whats(found(audio)) == [("note", "audio"), *GOOD]


def test_an_address_that_a_real_platform_cannot_reach_is_a_problem() -> None:
    with AudioServer() as audio:
        finding = last(audio, remote=True)
    assert finding.what == "audio"
    assert "only this machine can reach this address" in finding.seen
    assert finding.advice.startswith('pass public_url="wss://..."')


# -- the name, the port, TLS -------------------------------------------------------------------------------------------


def test_a_name_that_does_not_exist() -> None:
    finding = last(AudioServer(public_url="wss://no-such-name.invalid/audio"))
    assert finding.what == "audio name"
    assert finding.seen.startswith("no-such-name.invalid: ")
    assert "A or AAAA record" in finding.advice


def test_nothing_listens(closed_port: int) -> None:
    finding = last(AudioServer(public_url=f"ws://127.0.0.1:{closed_port}/audio"))
    assert (finding.what, finding.seen) == (
        "audio port",
        f"127.0.0.1:{closed_port} refuses connections: nothing listens there",
    )


@pytest.mark.slow
@pytest.mark.usefixtures("own_authority")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_certificate_is_asked_for(version: ssl.TLSVersion) -> None:
    """With TLS 1.3, the refusal comes after the handshake."""
    context = certified("full")
    context.maximum_version, context.verify_mode = version, ssl.CERT_REQUIRED

    def refuse(listener: socket.socket) -> None:
        for _ in range(2):  # the second connection asks whether the authority is public
            with contextlib.suppress(OSError):
                peer, _address = listener.accept()
                with peer, context.wrap_socket(peer, server_side=True):
                    pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = Background(refuse, listener)
        finding = last(AudioServer(public_url=f"wss://localhost:{listener.getsockname()[1]}/audio"))
        listener.shutdown(socket.SHUT_RDWR)
        serving.result()
    assert "refused the TLS handshake (" in finding.seen
    assert "ssl_verify_client" in finding.advice


@pytest.mark.usefixtures("own_authority")
@pytest.mark.parametrize(
    ("certificate", "seen", "advice"),
    [
        ("expired", "the certificate of 'localhost' expired on Jan  1 00:00:00 2021 GMT", "reload the proxy"),
        ("other", "the certificate is for audio.example.com, not for localhost", "server_name"),
        ("alone", "only its own certificate, issued by 'Intermediate of the tests'", "fullchain.pem"),
        ("", "the certificate is self-signed", "Let's Encrypt"),
    ],
)
def test_certificates(certificate: str, seen: str, advice: str) -> None:
    context = certified(certificate) if certificate else tls_context()
    with behind(Front(context=context), scheme="wss") as audio:
        finding = last(audio)
    assert finding.what == "audio TLS"
    assert seen in finding.seen
    assert advice in finding.advice


def test_an_authority_that_nobody_knows() -> None:
    with behind(Front(context=certified("full")), scheme="wss") as audio:
        finding = last(audio)
    assert finding.what == "audio TLS"
    assert finding.seen == "the certificate comes from 'Root of the tests', an authority that is not trusted"


def test_the_clients_own_authority_is_known_but_not_public() -> None:
    with behind(Front(context=certified("full")), scheme="wss") as audio:
        findings = found(audio, ca_file=str(ROOT_CERTIFICATE))
    assert "ca_file" in findings[3].seen
    assert findings[3].verdict == "note"
    assert findings[-1].what == "audio out"


def test_whether_an_authority_is_public_is_asked_on_a_connection_of_its_own() -> None:
    known, unknown = (ssl.create_default_context(cafile=path) for path in (ROOT_CERTIFICATE, CERTIFICATE))
    with behind(Front(context=certified("full")), scheme="wss") as audio:
        way = WayIn(audio.url, 5)
        addresses = way.resolve()
        assert way.trusted_by(known, addresses)
        assert not way.trusted_by(unknown, addresses)
        way.close()


def test_http_where_tls_is_expected() -> None:
    with behind(Front(None), scheme="wss") as audio:  # the receiver itself answers the handshake
        finding = last(audio)
    assert finding.what == "audio TLS"
    assert "answers without TLS (plain HTTP)" in finding.seen
    assert "listen 443 ssl;" in finding.advice


def test_tls_where_http_is_expected() -> None:
    with behind(Front(context=certified("full"))) as audio:
        finding = last(audio)
    assert finding.what == "audio upgrade"
    assert (
        "if this port expects TLS, begin public_url with wss://" in finding.advice
        or "this port expects TLS" in finding.seen
    )


@contextlib.contextmanager
def listener(act: Callable[[socket.socket], None], scheme: str = "wss") -> Iterator[AudioServer]:
    """A receiver in front of which something does so with each connection, from the first byte on."""
    with Scripted(act) as server:
        yield AudioServer(public_url=server.host.replace("ws:", f"{scheme}:") + "/audio")


def test_the_server_hangs_up_during_tls() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            peer, _ = server.accept()
            with peer:
                peer.recv(100)

        serving = Background(serve)
        finding = last(AudioServer(public_url=f"wss://127.0.0.1:{server.getsockname()[1]}/audio"))
        serving.result()
    assert finding.what == "audio TLS"
    assert "closed the connection during the TLS handshake" in finding.seen


def test_nobody_answers_tls_or_http() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place = f"127.0.0.1:{silent.getsockname()[1]}"
        finding = last(AudioServer(public_url=f"wss://{place}/audio"), timeout=0.2)
        assert "does not answer the TLS handshake" in finding.seen
        finding = last(AudioServer(public_url=f"ws://{place}/audio"), timeout=0.2)
        assert finding.seen == "no response to the upgrade within 0.2 s"


@pytest.mark.parametrize("act", [hang_up, drip(b"HTTP/1.1 "), lambda peer: peer.sendall(b"SSH-2.0-x\r\n\r\n")])
def test_what_is_no_http(act: Callable[[socket.socket], None]) -> None:
    with listener(act, "ws") as audio:
        finding = last(audio, timeout=0.5)
    assert finding.what == "audio upgrade"


@pytest.mark.usefixtures("own_authority")
def test_a_certificate_that_ends_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audio_checkup, "RENEWAL", 1000 * 365 * 86400)
    with behind(Front(context=certified("full")), scheme="wss") as audio:
        findings = found(audio)
    assert findings[3].verdict == "note"
    assert re.search(r"valid until Nov  6 16:39:29 2126 GMT, \d+ ms, which is in \d+ days", findings[3].seen)
    assert findings[3].advice == "renew it now: from that day, the platform refuses the connection"


def test_an_address_that_is_not_public() -> None:
    with hold_port() as held:
        findings = found(AudioServer(public_url=f"wss://0.0.0.0:{held.getsockname()[1]}/audio"))
    assert whats(findings) == [("ok", "audio"), ("note", "audio name"), ("bad", "audio port")]
    assert findings[1].seen == "0.0.0.0 resolves to 0.0.0.0; the platform cannot reach 0.0.0.0"
    assert "from outside your network" in findings[1].advice


def test_each_address_of_a_name_is_tried() -> None:
    with socket.create_server(("127.0.0.1", 0)) as good, hold_port() as held:
        port = good.getsockname()[1]
        way = WayIn(f"ws://localhost:{port}/audio", 5)
        infos = [
            *socket.getaddrinfo("127.0.0.1", port, type=socket.SOCK_STREAM),
            *socket.getaddrinfo("127.0.0.1", held.getsockname()[1], type=socket.SOCK_STREAM),
        ]
        assert way.silent_among(infos) == [("127.0.0.1", "it refuses connections")]
        assert way.silent_among(infos[1:]) == []  # the only one: connect() has said so


# -- what proxies do to a request --------------------------------------------------------------------------------------


def path(new: bytes) -> Rewrite:
    return lambda request: request.replace(b"GET /audio ", b"GET %b " % new, 1)


@pytest.mark.parametrize(
    ("rewrite", "seen", "advice"),
    [
        (edited("Upgrade"), "without the header Upgrade: websocket", "proxy_set_header Upgrade $http_upgrade;"),
        (edited("Upgrade", Connection="close"), "without the header Upgrade: websocket", "proxy_http_version 1.1;"),
        (edited(Connection="close"), "without the header Connection: Upgrade", 'Connection "upgrade";'),
        (lambda request: request.replace(b"HTTP/1.1", b"HTTP/1.0", 1), "as HTTP/1.0", "proxy_http_version 1.1;"),
        (edited("Sec-WebSocket-Key"), "without the Sec-WebSocket headers", "Sec-WebSocket"),
        (path(b"/"), "with another path than /audio", "proxy_pass without a path"),
        (path(b"/audio/"), "with another path than /audio", "proxy_pass without a path"),
        (edited("Authorization"), "without the Authorization header", "Authorization"),
        (edited(Authorization="Basic dXNlcjpwYXNz"), "without the Authorization header", "Authorization"),
        (edited(Authorization="Bearer of-another-server"), "with another token", "Authorization"),
        (lambda request: b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n" + request, "PROXY protocol", "proxy_protocol"),
    ],
)
def test_what_arrived_shows_what_the_proxy_did(rewrite: Rewrite, seen: str, advice: str) -> None:
    with behind(Front(rewrite), token="a-token-of-the-program") as audio:
        finding = last(audio)
    assert finding.what == "audio upgrade"
    assert seen in finding.seen
    assert advice in finding.advice


def test_a_receiver_that_needs_no_token_is_reached_without_one() -> None:
    """It takes the connection, which is not the expected one."""
    with behind(Front(edited("Authorization")), on_stream=lambda stream: None) as audio:
        finding = last(audio, timeout=0.5)
    assert finding.what == "audio token"
    assert finding.seen == "the request arrived in this program without the Authorization header"


def test_a_response_that_got_lost_is_known_from_the_inside() -> None:
    """The receiver closes the connection at once, so a proxy that is still sending may see a reset instead of the response."""
    front = Front(lambda request: b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n" + request, passes_answer=False)
    with behind(front) as audio:
        finding = last(audio)
    assert finding.what == "audio upgrade"
    assert finding.seen == "the proxy sends the PROXY protocol, which this program does not read"


def test_a_proxy_that_speaks_tls_to_a_plain_port() -> None:
    onward = ssl.create_default_context()
    onward.check_hostname, onward.verify_mode = False, ssl.CERT_NONE
    with behind(Front(onward=onward)) as audio:
        assert last(audio).what == "audio upgrade"


@pytest.mark.parametrize(
    ("act", "seen", "advice"),
    [
        (answer(200), "HTTP 200: a web server answered, not the program", "location for /audio"),
        (answer(301, Location="/audio/"), "redirected to /audio/;", "without a slash at the end"),
        (
            answer(308, Location="https://127.0.0.1/audio?x=secret"),
            "to https://127.0.0.1/audio;",
            "port for plain HTTP",
        ),
        (
            answer(302, Location="https://u:secret@sso.example.com/in"),
            "to https://sso.example.com/in;",
            "exclude this path",
        ),
        (answer(302, Location="https://[/"), "redirected to nowhere", "exclude this path"),
        (answer(400, b"The plain HTTP request was sent to HTTPS port"), "this port expects TLS", "wss://"),
        (
            answer(400, b"No required SSL certificate was sent"),
            "asks for a client certificate",
            "ssl_verify_client off;",
        ),
        (answer(400), "another server refused the upgrade", "forward the upgrade"),
        (answer(401, WWW_Authenticate='Basic realm="x"'), "asks for a user and a password", "auth_basic off;"),
        (answer(401, WWW_Authenticate="Bearer"), "another process with an AudioServer answered", "proxy_pass"),
        (answer(403), "HTTP 403: the request did not arrive in this program", "deny"),
        (answer(404), "no route for /audio", "add a location for /audio with proxy_pass to 127.0.0.1:"),
        (answer(426), "another server refused the upgrade", "forward the upgrade"),
        (answer(429), "HTTP 429: the request did not arrive", "log of the proxy"),
        (answer(500), "HTTP 500: the request did not arrive", "log of the proxy"),
        (answer(502), "HTTP 502: the proxy could not connect", "127.0.0.1 is the container itself"),
        (answer(503), "HTTP 503: the proxy has no server", "limit_conn"),
        (answer(504), "HTTP 504: the proxy got no answer", "firewall"),
        (answer(521), "HTTP 521: the proxy could not connect", "have the proxy connect to 127.0.0.1:"),
        (answer(101, Upgrade="websocket", Connection="Upgrade"), "Sec-WebSocket-Accept", "HTTP proxy"),
    ],
)
def test_answers_of_others(act: Callable[[socket.socket], None], seen: str, advice: str) -> None:
    with listener(act, "ws") as audio:
        finding = last(audio, timeout=2)
    assert finding.what == "audio upgrade"
    assert seen in finding.seen
    assert advice in finding.advice
    assert "secret" not in finding.seen + finding.advice


def test_another_websocket_server_answers() -> None:
    with AudioServer(on_stream=lambda stream: None) as other:
        front = Front(edited("Authorization"))
        with front, AudioServer(public_url=f"ws://127.0.0.1:{front.port}/audio") as audio:
            front.target = other.port
            finding = last(audio, timeout=0.5)
    assert finding.what == "audio token"
    assert finding.seen == "another WebSocket server answered, not this program"


# -- frames ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("passes", "what"), [((False, True), "audio in"), ((True, False), "audio out")])
def test_a_proxy_that_passes_the_upgrade_and_no_frames(passes: tuple[bool, bool], what: str) -> None:
    with behind(Front(passes=passes)) as audio:
        finding = last(audio, timeout=0.3)
    assert finding.what == what
    assert "frame" in finding.seen


@pytest.mark.parametrize("message", [b"{}", b"[]", b"not JSON", b'{"event":"mark"}', b"[" * 60000])
def test_a_peer_that_sends_without_end(message: bytes) -> None:
    short = len(message) < 126
    size = bytes((len(message),)) if short else bytes((126,)) + len(message).to_bytes(2, "big")
    flood = b"\x81" + size + message
    with behind(Front(passes=(True, False), floods=flood)) as audio:
        finding = last(audio, timeout=0.3)
    assert finding.what == "audio out"
    assert (
        "a message arrived that the program did not send" in finding.seen
        or "no audio arrived within 0.3 s" in finding.seen
    )


def test_a_flood_does_not_prolong_silence() -> None:
    mark = b'{"event":"mark"}'
    with behind(Front(floods=bytes((0x81, len(mark))) + mark)) as audio:
        assert found(audio, silence=0.2)[-1].what == "audio silence"


def test_a_proxy_that_ends_a_connection_in_silence() -> None:
    with behind(Front(closes_after=0.3)) as audio:
        finding = last(audio, silence=5)
    assert finding.what == "audio silence"
    assert "the connection was closed after 0 s without a frame" in finding.seen
    assert "proxy_read_timeout 1h;" in finding.advice


def test_a_connection_that_outlasts_silence() -> None:
    with behind(Front()) as audio:
        finding = found(audio, silence=0.2)[-1]
    assert (finding.verdict, finding.what) == ("ok", "audio silence")


# -- the running program -----------------------------------------------------------------------------------------------


def test_the_port_is_taken_by_the_running_program() -> None:
    """What answers is checked as far as a stranger can."""
    with AudioServer(token="of-the-running-program") as running:
        port = running.port
        findings = found(AudioServer(port=port, public_url=running.url))
    assert whats(findings) == [("note", "audio"), ("note", "audio"), *GOOD[:3]]
    assert f"127.0.0.1:{port} is already in use" in findings[0].seen
    assert "to check everything, stop the program" in findings[0].advice
    assert "refused an unknown token, as it should" in findings[-1].seen


def test_a_range_of_ports_leaves_the_running_program_alone() -> None:
    """Which the proxy must lead to: it is asked as it would be asked for the next process."""
    with hold_port() as held:
        first = held.getsockname()[1]
        ports = range(first, min(first + 50, 65536))
        with socket.create_server(("127.0.0.1", first), reuse_port=False) as taken:
            assert taken.getsockname()[1] == first
            audio = AudioServer(port=ports, public_url="ws://127.0.0.1:{port}/audio")
            findings = found(audio)
    assert whats(findings) == [("note", "audio"), *GOOD]
    assert f"one of the ports {first} to {ports[-1]}" in findings[0].seen


def test_a_route_for_one_port_of_a_range_only() -> None:
    with Scripted(answer(404)) as proxy:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            first = taken.getsockname()[1]
            ports = range(first, min(first + 50, 65536))
            finding = last(AudioServer(port=ports, public_url=f"{proxy.host}/{{port}}"))
    assert f"it must name every port of {first} to {ports[-1]}" in finding.advice


def test_a_range_that_the_running_program_has_used_up(free_port: int) -> None:
    ports = range(free_port, free_port + 1)
    with AudioServer(port=ports):
        findings = found(AudioServer(port=ports))
    assert findings[0].verdict == "note"
    assert "twice as many ports as processes" in findings[0].seen
    assert "HTTP 403" in findings[-1].seen
    assert "refused an unknown token, as it should" in findings[-1].seen


def test_the_port_is_taken_by_something_else() -> None:
    with Scripted(answer(200)) as other:
        port = int(other.host.rpartition(":")[2])
        finding = last(AudioServer(port=port, public_url=f"{other.host}/audio"))
    assert "a web server answered" in finding.seen


def test_an_address_of_another_machine(free_port: int, closed_port: int) -> None:
    url = f"ws://127.0.0.1:{closed_port}/audio"
    finding = found(AudioServer("192.0.2.1", free_port, public_url=url))[0]
    assert finding.verdict == "note"
    assert "is not an address of this machine" in finding.seen


# -- the command -------------------------------------------------------------------------------------------------------

Doctor = Callable[..., tuple[int, str]]
_programs = itertools.count(1)


@pytest.fixture
def doctor(
    account: Simulator,
    collected: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> Doctor:
    """The command, with a program of the test's."""
    monkeypatch.chdir(tmp_path)

    def run(kind: str, lines: str, *arguments: str) -> tuple[int, str]:
        name = f"{kind}_{next(_programs)}"  # a module is imported once
        imports = "from relay_sync import RelayClient\nfrom relay_sync.audio import AudioServer\n"
        (tmp_path / f"{name}.py").write_text(f"{imports}{lines}\nclient = RelayClient()\n", encoding="utf-8")
        before = audio_servers()
        assert not before, before
        code = main(["doctor", f"{name}:client", "--audio", *arguments])
        told = capsys.readouterr()
        return code, told.out + told.err

    return run


def test_the_command(doctor: Doctor) -> None:
    code, told = doctor("doctored_audio", "audio = AudioServer()")
    assert code == 0, told
    assert "ok    contexts" in told or "note  contexts" in told
    assert told.index("contexts:") < told.index("audio name: 127.0.0.1")
    assert "ok    audio out: a frame came back after" in told
    assert told.endswith("No problems found.\n")


def test_several_receivers(doctor: Doctor, closed_port: int) -> None:
    lines = (
        f"one = AudioServer()\ntwo = AudioServer(public_url='ws://127.0.0.1:{closed_port}/x')\nthree = AudioServer()"
    )
    code, told = doctor("doctored_three", lines)
    assert code == 1, told
    assert "ok    audio 1 out: " in told
    assert "BAD   audio 2 port: " in told
    assert "ok    audio 3 out: " in told
    assert "problems found: audio 2 port" in told


def test_no_receiver(doctor: Doctor) -> None:
    code, told = doctor("doctored_none", "")
    assert code == 1
    assert "BAD   audio: the program creates no AudioServer when it is imported" in told
    assert "-> create it at module level" in told


def test_receivers_are_checked_without_a_session(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGNALWIRE_API_TOKEN", "PTwrong")
    code, told = doctor("doctored_wrong", "audio = AudioServer()")
    assert code == 1
    assert "BAD   credentials" in told
    assert "ok    audio out" in told


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--audio",), "argument --audio: name the program too"),
        (("x:client", "--silence", "3"), "argument --silence: pass it together with --audio"),
        (("x:client", "--audio", "--silence", "-1"), "argument --silence: invalid value -1"),
        (("x:client", "--audio", "--silence", "nan"), "argument --silence: invalid value nan"),
    ],
)
def test_arguments(arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_an_unusable_proxy_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "socks5://user:secret@127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    finding = found(AudioServer(public_url="wss://no-such-name.invalid/audio"))[-1]
    assert finding.verdict == "bad"
    assert "HTTPS_PROXY" in finding.seen
    assert "secret" not in str(finding)


def test_through_the_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the client connects; the proxy resolves the name."""
    for name in [each for each in os.environ if each.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    with Scripted(answer(503)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.host.replace("ws://", "http://user:secret@"))
        findings = found(AudioServer(public_url="wss://no-such-name.invalid/audio"))
        assert proxy.requests.get().startswith(b"CONNECT no-such-name.invalid:443 HTTP/1.1")
    assert findings[-1].what == "audio port"
    assert "refused the connection to no-such-name.invalid:443 (HTTP 503" in findings[-1].seen
    assert "secret" not in str(findings)


@pytest.mark.parametrize(
    ("host", "words"),
    [("127.0.0.1", "refuses connections"), ("no-such-proxy.invalid", ""), ("a" * 64, "")],
)
def test_a_proxy_that_cannot_be_reached(
    host: str, words: str, closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mistake is not in the way to the program."""
    for name in [each for each in os.environ if each.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HTTPS_PROXY", f"http://user:secret@{host}:{closed_port}")
    finding = last(AudioServer(public_url="wss://no-such-name.invalid/audio"))
    assert finding.what == "audio port"
    assert finding.seen.startswith(f"the proxy http://{host}:{closed_port} (HTTPS_PROXY)")
    assert words in finding.seen
    assert "check HTTPS_PROXY" in finding.advice
    assert "secret" not in str(finding)


def test_a_token_that_the_peer_repeats_is_hidden_even_if_its_end_is_left_out() -> None:
    sent = []

    def repeat(peer: socket.socket) -> None:
        sent.append(server.requests.get().partition(b"Bearer ")[2].split()[0].decode())
        place = f"https://other.invalid/{'x' * 160}{sent[0]}"
        answer(302, Location=place)(peer)

    with Scripted(repeat) as server:
        finding = last(AudioServer(public_url=f"{server.host}/audio"))
    assert "redirected to https://other.invalid/xxx" in finding.seen
    assert sent[0][:8] not in finding.seen
