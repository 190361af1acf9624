"""Streams through nginx with TLS to several processes and machines: which process hears what, and what ends them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest
import websocket

from relay_sync import StreamFailed
from relay_sync.audio import AudioServer
from relay_sync.simulator import Simulator
from tests.support import PATIENCE
from tests.support.carrier import PAYLOADS, PCMU, Carrier
from tests.support.hearing import Hearing, hearing, killed
from tests.support.lines import line
from tests.support.nginx import NAME, Nginx, Places, machine, nginx, trusting

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="nginx as Debian has it"),
]

PORTS: Final = range(8765, 8773)
#: All that a stream of these tests says.
SPEECH: Final = PCMU.decode(b"".join(PAYLOADS))


@pytest.fixture
def address() -> Iterator[str]:
    with machine(PORTS) as found:
        yield found


def carrier(proxy: Nginx, path: str, call_id: str, token: str | None = None, **options: Any) -> Carrier:
    """The platform's end of a stream that has started."""
    return opened(proxy, path, token, **options).start(call_id=call_id)


def opened(proxy: Nginx, path: str, token: str | None = None, **options: Any) -> Carrier:
    given = {"sslopt": {"context": trusting()}, "suppress_origin": True, **options}
    return Carrier(proxy.url(path), token=token, **given)


def status(proxy: Nginx, path: str, token: str | None = None) -> int:
    """How a stream is refused."""
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        opened(proxy, path, token)
    return refused.value.status_code


def speak(one: Carrier, start: int = 0, stop: int | None = None) -> None:
    for payload in PAYLOADS[start:stop]:
        one.media(payload)


def finish(one: Carrier) -> None:
    """Stop the stream, and wait until the receiver has closed it."""
    one.stop()
    assert one.ws.recv_data()[0] == websocket.ABNF.OPCODE_CLOSE
    one.cut()


def is_cut(one: Carrier) -> bool:
    """Whether the other end is gone without a word."""
    try:
        one.ws.recv_data()
    except (OSError, websocket.WebSocketConnectionClosedException):
        one.cut()
        return True
    return False


def path_of(process: Hearing, proxy: Nginx) -> str:
    """The path of a process's own address, whose name and port are those of the tests' nginx."""
    base, slash, rest = process.url.removeprefix("wss://").partition("/")
    assert base == "localhost"
    return slash + rest


# -- one machine ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def two(address: str, tmp_path: Path) -> Iterator[tuple[Nginx, Hearing, Hearing]]:
    """nginx and two processes on one machine."""
    with ExitStack() as stack:
        one, other = (
            stack.enter_context(hearing(tmp_path / name, address, PORTS, public_url="wss://localhost/{port}"))
            for name in ("one", "other")
        )
        proxy = stack.enter_context(nginx(Places(here=address)))
        assert [each.port for each in (one, other)] == list(PORTS[:2])
        yield proxy, one, other


Two = tuple[Nginx, Hearing, Hearing]


def test_each_process_hears_the_streams_of_its_own_address(two: Two) -> None:
    proxy, *processes = two
    carriers = []
    for number in range(6):
        process = processes[number % 2]
        carriers.append(carrier(proxy, path_of(process, proxy), f"call-{number}"))
        process.wait_for_start(f"call-{number}")
    for each in carriers:  # all at once
        speak(each)
    for each in carriers:
        finish(each)
    for number in range(6):
        assert processes[number % 2].heard(f"call-{number}") == (SPEECH, "stopped")
    assert [sorted(each.calls) for each in processes] == [
        ["call-0", "call-2", "call-4"],
        ["call-1", "call-3", "call-5"],
    ]


def test_a_reload_of_nginx_ends_no_stream(two: Two) -> None:
    """The old process of nginx serves its streams to their end, the new one takes the streams that come."""
    proxy, one, other = two
    before = [carrier(proxy, path_of(each, proxy), "before") for each in (one, other)]
    for each in before:
        speak(each, stop=20)
    old = proxy.workers()
    proxy.reload()
    assert len(proxy.workers() - old) == 1
    after = [carrier(proxy, path_of(each, proxy), "after") for each in (one, other)]
    for each in before:
        speak(each, 20)
    for each in after:
        speak(each)
    assert old <= proxy.workers()  # as long as they have streams
    for each in (*before, *after):
        finish(each)
    for process in (one, other):
        assert process.heard("before") == process.heard("after") == (SPEECH, "stopped")


def test_a_reload_with_a_mistake_changes_nothing(two: Two) -> None:
    proxy, one, _ = two
    file = proxy.folder / "nginx.conf"
    file.write_text(file.read_text(encoding="utf-8").replace("proxy_pass", "proxy_pas"), encoding="utf-8")
    going = carrier(proxy, path_of(one, proxy), "going")
    speak(going, stop=20)
    proxy.refuse_reload()
    speak(going, 20)
    finish(going)
    finish(carrier(proxy, path_of(one, proxy), "new"))
    assert one.heard("going") == (SPEECH, "stopped")
    assert one.heard("new") == (b"", "stopped")


def test_the_death_of_a_process_ends_its_own_streams_only(two: Two, address: str, tmp_path: Path) -> None:
    proxy, one, other = two
    kept, lost = (carrier(proxy, path_of(each, proxy), "call") for each in (one, other))
    for each in (kept, lost):
        speak(each, stop=20)
    other.wait_for_start("call")
    killed(other)
    assert is_cut(lost)
    assert status(proxy, path_of(other, proxy)) == 502
    speak(kept, 20)
    finish(kept)
    assert one.heard("call") == (SPEECH, "stopped")
    # The process that replaces it has its port, and nginx needs no notice.
    with hearing(tmp_path / "next", address, PORTS, public_url="wss://localhost/{port}") as following:
        assert following.port == other.port
        again = carrier(proxy, path_of(following, proxy), "again")
        speak(again)
        finish(again)
        assert following.heard("again") == (SPEECH, "stopped")


def test_the_end_of_nginx_ends_all_streams_and_a_new_one_takes_new_ones(address: str) -> None:
    with AudioServer(address, PORTS, public_url="wss://localhost/{port}") as audio:
        with nginx(Places(here=address)) as proxy:
            one = carrier(proxy, f"/{audio.port}", "one")
            speak(one)
            stream = audio.accept(PATIENCE)
        assert is_cut(one)
        assert stream.wait(PATIENCE)
        assert stream.end_reason == "dropped"
        with nginx(Places(here=address)) as proxy:
            other = carrier(proxy, f"/{audio.port}", "other")
            finish(other)
            assert audio.accept(PATIENCE).call_id == "other"


def test_a_prefix_that_is_removed_is_no_mistake_with_the_path_that_arrives(address: str) -> None:
    changes = {
        f"    /{PORTS[0]} ": f"    /media/{PORTS[0]} ",
        "proxy_pass": "rewrite ^/media(/.*)$ $1 break;\n        proxy_pass",
    }
    with AudioServer(address, PORTS, public_url="wss://localhost/media/{port}", path="/{port}") as audio:
        with nginx(Places(here=address), changes=changes) as proxy:
            one = carrier(proxy, f"/media/{audio.port}", "call")
            speak(one)
            finish(one)
            assert b"".join(frame.data for frame in audio.accept(PATIENCE)) == SPEECH


def test_a_call_outlives_nginx(address: str) -> None:
    """Its stream ends, and another one fails without hanging until nginx runs again."""
    with (
        Simulator(media="fast", media_ssl_context=trusting()) as sim,
        line(sim) as one,
        nginx(Places(here=address)) as proxy,
    ):
        with AudioServer(address, PORTS, public_url=proxy.url("/{port}")) as audio:
            stream = audio.listen(one.call, timeout=PATIENCE)
            proxy.stop()
            assert stream.wait(PATIENCE)
            assert stream.end_reason == "dropped"
            with pytest.raises(StreamFailed):
                audio.listen(one.call, timeout=PATIENCE)
            proxy.start()
            with audio.listen(one.call, timeout=PATIENCE) as again:
                assert again.call_id == one.call.call_id
        assert one.call.state == "answered"


# -- several machines -----------------------------------------------------------------------------------------------------


def test_two_machines_have_the_same_ports(tmp_path: Path) -> None:
    with ExitStack() as stack:
        hosts = (stack.enter_context(machine(PORTS)), stack.enter_context(machine(PORTS)))
        processes = [
            stack.enter_context(
                hearing(
                    tmp_path / f"{name}-{number}", host, PORTS, name, public_url="wss://localhost/{hostname}/{port}"
                )
            )
            for name, host in zip(("host-a", "host-b"), hosts, strict=True)
            for number in range(2)
        ]
        proxy = stack.enter_context(nginx(Places(hosts=hosts)))
        paths = [path_of(each, proxy) for each in processes]
        assert paths == [f"/{name}/{port}" for name in ("host-a", "host-b") for port in PORTS[:2]]
        carriers = [carrier(proxy, path, f"call-of{path}") for path in paths]
        for each in carriers:
            speak(each, stop=20)
        killed(processes[0])
        assert is_cut(carriers[0])
        for each in carriers[1:]:
            speak(each, 20)
            finish(each)
        for path, process in list(zip(paths, processes, strict=True))[1:]:
            assert process.heard(f"call-of{path}") == (SPEECH, "stopped")
            assert process.calls == [f"call-of{path}"]


# -- Host and Origin ------------------------------------------------------------------------------------------------------

#: What the proxy makes of the ``Host`` header: the words that the shipped configuration has instead.
HOSTS: Final = {
    "passed on": "proxy_set_header Host $http_host;",
    "the backend's, as by default": "",
    "a name of the inside": "proxy_set_header Host relay.internal;",
    "empty": 'proxy_set_header Host "";',
}
OWN, FOREIGN = f"https://{NAME}", "https://elsewhere.example.net"


def _taken(address: str, host: str, origin: str | None, token: str | None, **options: Any) -> bytes | int:
    """The audio of a stream with these headers, as the receiver heard it, or the status that refuses it."""
    changes = {HOSTS["passed on"]: HOSTS[host]}
    given = {"public_url": f"wss://{NAME}/{{port}}", "token": token, **options}
    client = {"host": NAME, "suppress_origin": origin is None, "origin": origin}
    with AudioServer(address, PORTS, **given) as audio:
        with nginx(Places(here=address, name=NAME), changes=changes) as proxy:
            try:
                one = carrier(proxy, f"/{audio.port}", "call", token, **client)
            except websocket.WebSocketBadStatusException as error:
                return error.status_code
            speak(one)
            finish(one)
            return b"".join(frame.data for frame in audio.accept(PATIENCE))


@pytest.mark.parametrize("origin", [None, OWN, FOREIGN, "null"])
@pytest.mark.parametrize("host", HOSTS)
def test_a_stream_with_its_token_is_taken_whatever_the_proxy_does(address: str, host: str, origin: str | None) -> None:
    assert _taken(address, host, origin, "token-of-the-test") == SPEECH


@pytest.mark.parametrize("origin", [None, OWN])
@pytest.mark.parametrize("host", ["passed on", "the backend's, as by default"])
def test_a_stream_without_a_token_is_taken_too(address: str, host: str, origin: str | None) -> None:
    assert _taken(address, host, origin, None, hosts=[NAME]) == SPEECH


def test_a_name_of_the_inside_is_named_to_the_receiver(address: str) -> None:
    host = "a name of the inside"
    assert _taken(address, host, None, None, hosts=[NAME]) == 403
    assert _taken(address, host, None, None, hosts=["relay.internal"]) == SPEECH


def test_pages_of_other_sites_are_refused_behind_a_proxy_too(address: str) -> None:
    assert _taken(address, "passed on", FOREIGN, None, hosts=[NAME]) == 403
    assert _taken(address, "the backend's, as by default", FOREIGN, None, hosts=[NAME]) == 403
    assert _taken(address, "passed on", FOREIGN, None, origins=[FOREIGN]) == SPEECH


# -- one path for all processes -------------------------------------------------------------------------------------------


def _sharing(folder: Path, address: str, token: str) -> Any:
    return hearing(folder, address, PORTS, public_url="wss://localhost/audio", token=token)


def test_a_token_finds_the_process_that_knows_it(address: str, tmp_path: Path) -> None:
    """All processes have one path. Those that do not know the token answer 403, and nginx asks the next one."""
    with (
        _sharing(tmp_path / "one", address, "token-1") as one,
        _sharing(tmp_path / "other", address, "token-2") as other,
    ):
        with nginx(Places(here=address)) as proxy:
            for number in range(8):  # nginx begins with the next process each time, so it meets both kinds
                each = carrier(proxy, "/audio", f"call-{number}", f"token-{1 + number // 2 % 2}")
                speak(each)
                finish(each)
            for number in range(8):
                assert (one, other)[number // 2 % 2].heard(f"call-{number}") == (SPEECH, "stopped")
            assert [len(each.calls) for each in (one, other)] == [4, 4]
            assert status(proxy, "/audio", "token-3") in (403, 502)  # the last port that nginx asks may be closed
            assert status(proxy, "/audio") == 401


def test_a_new_process_is_found_although_its_port_was_closed_before(address: str, tmp_path: Path) -> None:
    """nginx remembers no failure of a port: the process that replaces another one is asked at once."""
    with _sharing(tmp_path / "one", address, "token-1") as one, nginx(Places(here=address)) as proxy:
        for _ in PORTS:  # each port has been tried, and all but the first refuse
            assert status(proxy, "/audio", "token-2") in (403, 502)
        with _sharing(tmp_path / "other", address, "token-2") as other:
            finish(carrier(proxy, "/audio", "call-2", "token-2"))
            assert other.heard("call-2") == (b"", "stopped")
            killed(one)
            finish(carrier(proxy, "/audio", "call-3", "token-2"))
            assert other.heard("call-3") == (b"", "stopped")
