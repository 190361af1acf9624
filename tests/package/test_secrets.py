"""Planted secrets: one whole session with every piece of the package, and none of them shows anywhere.

Looked at are all loggers at DEBUG, tracebacks included, the reprs of everything that a program holds, exceptions, what the
commands print and what other users of the machine see of our processes, and what the simulator's journal gives to print.
"""

from __future__ import annotations

import base64
import hmac
import io
import logging
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import websocket
from attrs import define, field

from relay_sync import (
    AuthenticationError,
    CommandRefused,
    InvalidParameter,
    RelayClient,
    RelayError,
    WebhookRefused,
    devices,
)
from relay_sync.audio import AudioServer
from relay_sync.cli import main
from relay_sync.rest import RestClient
from relay_sync.simulator import Simulator
from relay_sync.threads import logs
from relay_sync.webhooks import Webhooks
from tests.support import PATIENCE
from tests.support.hosting import environment
from tests.support.lines import line
from tests.support.peers import Hooks

TOKEN = "planted-api-token-4711"
WRONG = "planted-wrong-token-4712"
JWT = "eyJhbGciOiJub25lIn0.planted-jwt-4713.c2ln"
BEARER = "planted-bearer-4714"
OTHER_BEARER = "planted-bearer-4715"
KEY = "planted-signing-key-4716"
ONE_TIME = "planted-one-time-password-4717"
IN_URL = "planted-in-url-4718"
PASSWORD = "planted-password-4719"
CONTROL = "planted-control-token-4720"
LOGGERS = (
    *("relay_sync", "relay_sync.protocol", "relay_sync.callbacks", "relay_sync.audio", "relay_sync.simulator"),
    *(
        "websocket",
        "websockets",
        "websockets.server",
        "websockets.client",
        "urllib3",
        "urllib3.connectionpool",
        "requests",
    ),
)


@define
class Shown:
    """Everything that somebody could see."""

    log: io.StringIO = field(factory=io.StringIO)
    texts: list[str] = field(factory=list)

    def look(self, *things: object) -> None:
        for thing in things:
            html = getattr(thing, "_repr_html_", str)
            self.texts += [repr(thing), str(thing), str(html())]

    def fails(self, kind: type[BaseException], function: Callable[..., Any], *args: Any, **options: Any) -> None:
        with pytest.raises(kind) as caught:
            function(*args, **options)
        self.look(caught.value, vars(caught.value))
        self.texts += traceback.format_exception(caught.value)

    @property
    def all(self) -> str:
        return "\n".join([self.log.getvalue(), *self.texts])


@pytest.fixture
def shown() -> Iterator[Shown]:
    found = Shown()
    handler = logging.StreamHandler(found.log)
    handler.setFormatter(logging.Formatter("%(name)s %(threadName)s %(message)s %(args)r"))
    root = logging.getLogger()
    before = {name: logging.getLogger(name).level for name in LOGGERS}
    root_level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    for name in LOGGERS:
        logging.getLogger(name).setLevel(logging.DEBUG)
    yield found
    root.removeHandler(handler)
    root.setLevel(root_level)
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)


def a_session(sim: Simulator, shown: Shown, stack: ExitStack) -> None:
    """What a program does in its life, mistakes included."""
    hooks = stack.enter_context(Hooks())
    audio = stack.enter_context(AudioServer(token=BEARER))
    one = stack.enter_context(line(sim, says=bytes(16000)))
    call, client = one.call, one.client
    shown.look(client, client._link.config, call, sim, sim.settings, audio)
    custom = {"pin": ONE_TIME, "deep": {"any": [ONE_TIME]}}
    there = hooks.url.replace("://", f"://user:{PASSWORD}@") if "@" not in hooks.url else hooks.url
    action = call.stream(
        audio.url, authorization_bearer_token=BEARER, custom_parameters=custom, status_url=hooks.url, name="s"
    )
    stream = audio.accept(PATIENCE)
    assert stream.read_frame(PATIENCE) is not None
    shown.look(action, stream, stream.stats, client.calls)
    one.drop()  # the session is resumed with its authorization state
    with audio.listen(call, custom_parameters=custom) as second:
        shown.look(second, second.action)
    shown.look(action.stop(), action.wait(PATIENCE))
    with audio.connect(call, custom_parameters=custom) as two_way:
        shown.look(two_way)
    sim.refuse("calling.stream", 400, "no", data={"authorization_bearer_token": BEARER}, times=1)
    shown.fails(CommandRefused, call.stream, audio.url, authorization_bearer_token=OTHER_BEARER)
    shown.fails(InvalidParameter, call.stream, audio.url, authorization_bearer_token=f"{OTHER_BEARER}\n")
    shown.fails(InvalidParameter, call.stream, audio.url, authorization_bearer_token=[OTHER_BEARER])
    shown.look(devices.stream(audio.url, codec="PCMU").__class__)
    secrets = {"post_prompt_auth_password": PASSWORD, "custom_parameters": custom, "status_url": there}
    with_secrets = {"call_id": call.call_id, "node_id": call.node_id, **secrets}
    shown.fails(RelayError, client.execute, "calling.nonsense", with_secrets)
    for wrong in (f"Bearer {OTHER_BEARER}", f"Basic {OTHER_BEARER}", f"bearer  {BEARER}x"):
        with pytest.raises(websocket.WebSocketBadStatusException):
            websocket.create_connection(audio.url, header=[f"Authorization: {wrong}"], timeout=PATIENCE)
    call.on("calling.x.y", lambda event: 1 / 0)
    sim.send_event("calling.x.y", with_secrets)
    sim.send_raw('{"jsonrpc": "2.0", "token": "' + TOKEN)
    sim.wait_for_acks(PATIENCE)
    one.phone.hang_up()
    call.wait_for_ended(PATIENCE)
    sim.webhooks.wait_for(2, PATIENCE)
    shown.look(client, call, call.end_reason)


def the_rest(sim: Simulator, shown: Shown, folder: Path) -> None:
    """Commands over HTTP, downloads, webhooks, and credentials that are refused or cannot be right."""
    with RestClient(**sim.credentials) as rest:
        url = sim.add_recording(b"RIFF" + bytes(100))
        rest.download(f"{url}?token={IN_URL}", folder / "r.wav")
        shown.look(rest, rest.call("c"))
        shown.fails(RelayError, rest.call("nobody").hangup)
        shown.fails(RelayError, rest.download, f"{url}x?token={IN_URL}", folder / "x.wav")
        shown.fails(InvalidParameter, rest.download, f"ftp://user:{PASSWORD}@h/?token={IN_URL}", folder / "x.wav")
    with RestClient(project=sim.settings.project, token=WRONG, host=sim.url) as refused:
        shown.fails(AuthenticationError, refused.call("c").hangup)
    client = RelayClient(sim.settings.project, WRONG, host=sim.url)
    shown.fails(AuthenticationError, client.connect)
    shown.look(client)
    shown.fails(InvalidParameter, RelayClient, project="p", token=f"{WRONG}\r\nX: y")
    shown.fails(InvalidParameter, RelayClient, project="p", token=WRONG, host=f"wss://user:{PASSWORD}@example.com")
    shown.fails(InvalidParameter, RelayClient, project="p", token=WRONG, proxy=f"socks5://user:{PASSWORD}@h:1")
    shown.fails(InvalidParameter, RelayClient, jwt_token=f"{JWT} ")
    with RelayClient(jwt_token=JWT, host=sim.url) as by_jwt:
        shown.look(by_jwt, by_jwt._link.config)
    hooks = Webhooks(signing_key=KEY, strict=True)
    shown.look(hooks)
    shown.fails(WebhookRefused, hooks.parse, "POST", "https://h/s", {"X-SignalWire-Signature": "0" * 40}, b"{}")


def test_no_planted_secret_shows_anywhere(
    shown: Shown, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options: dict[str, Any] = {"token": TOKEN, "jwt_token": JWT, "signing_key": KEY}
    with Simulator(media="fast", **options) as sim:
        with ExitStack() as stack:
            a_session(sim, shown, stack)
        the_rest(sim, shown, tmp_path)
        for name, value in environment(sim).items():
            if name.startswith("SIGNALWIRE"):
                monkeypatch.setenv(name, value)
        monkeypatch.chdir(tmp_path)
        assert main(["doctor"]) == 0
        monkeypatch.setenv("SIGNALWIRE_API_TOKEN", WRONG)
        assert main(["doctor"]) == 1
        told = capsys.readouterr()
        journal = list(sim.journal)
        dump = sim.journal.dump()
        shown.texts += [told.out, told.err, dump, repr(journal), repr(sim.rest_requests), repr(sim.phones)]
        pairs = [f"{sim.settings.project}:{each}".encode() for each in (TOKEN, WRONG)]
    secrets = {TOKEN, WRONG, JWT, BEARER, OTHER_BEARER, KEY, ONE_TIME, IN_URL, PASSWORD}
    secrets |= {base64.b64encode(pair).decode() for pair in pairs}
    states: set[str] = set()
    tokens: set[str] = set()
    for entry in journal:
        collect(entry.frame, "authorization_state", states)
        collect(entry.frame, "authorization_bearer_token", tokens)
    assert states
    assert len(tokens) >= 4, "the one-time tokens of listen and connect are among these"
    assert logs.flush(PATIENCE)
    everything = shown.all
    for sign in (
        "signalwire.connect",
        "calling.stream",
        "custom_parameters",
        "ZeroDivisionError",
        "urllib3",
        "characters",
    ):
        assert sign in everything, f"nothing was looked at that has {sign}"
    found = {secret for secret in secrets | states | tokens if secret in everything}
    where = [text[:300] for text in everything.splitlines() if any(secret in text for secret in found)]
    assert not found, "\n".join(where[:10])


def collect(value: Any, name: str, into: set[str]) -> None:
    """The texts that stand under a name, wherever in a frame."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == name and isinstance(inner, str):
                into.add(inner)
            collect(inner, name, into)
    elif isinstance(value, list):
        for inner in value:
            collect(inner, name, into)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="only Linux shows command lines there")
@pytest.mark.parametrize(
    "command",
    [("run", "app:client", "--processes", "2"), ("listen", "--port", "0"), ("simulate",)],
    ids=lambda command: command[0],
)
def test_other_users_see_no_secret_of_our_processes(command: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("from relay_sync import RelayClient\nclient = RelayClient()\n", encoding="utf-8")
    with Simulator(token=TOKEN) as sim:
        extra = {"RELAY_AUDIO_TOKEN": BEARER, "RELAY_SIMULATOR_CONTROL_TOKEN": CONTROL}
        with (tmp_path / "out").open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "relay_sync", *command],
                cwd=tmp_path,
                env=environment(sim, **extra),
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        try:
            expected = 3 if command[0] == "run" else 1
            if command[0] == "run":
                sim.wait_for_client(2, PATIENCE * 3)
            wait_for_output(tmp_path / "out")
            lines = wait_for_processes(process.pid, expected)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE * 3)
        seen = " ".join(lines) + (tmp_path / "out").read_text(encoding="utf-8")
    assert "relay_sync" in seen
    for secret in (TOKEN, BEARER, CONTROL):
        assert secret not in seen


def wait_for_processes(parent: int, count: int) -> list[str]:
    """The command lines of a process and its children, once there are so many."""
    end = time.monotonic() + PATIENCE * 3
    while True:
        found = []
        for entry in os.listdir("/proc"):
            try:
                stat = Path("/proc", entry, "stat").read_text(encoding="utf-8")
                line = Path("/proc", entry, "cmdline").read_text(encoding="utf-8").replace("\0", " ")
                ours = int(entry) == parent or int(stat.rpartition(")")[2].split()[1]) == parent
                if ours and line:  # it is empty while a process begins or ends
                    found.append(line)
            except (OSError, ValueError):
                continue
        if len(found) >= count:
            return found
        assert time.monotonic() < end, found
        time.sleep(0.02)


def wait_for_output(path: Path) -> None:
    end = time.monotonic() + PATIENCE * 3
    while not path.stat().st_size:
        assert time.monotonic() < end
        time.sleep(0.02)


def test_tokens_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Digests of equal length are, not the tokens: neither their length nor their beginning is in the time it takes."""
    compared: list[tuple[bytes, bytes]] = []
    real = hmac.compare_digest

    def spied(one: bytes, other: bytes) -> bool:
        if len(one) == 32:  # the library of the test compares other things
            compared.append((one, other))
        return real(one, other)

    monkeypatch.setattr(hmac, "compare_digest", spied)
    with AudioServer(token=BEARER) as audio:
        for wrong in ("x", BEARER[:-1], BEARER + "x"):
            with pytest.raises(websocket.WebSocketBadStatusException):
                websocket.create_connection(audio.url, header=[f"Authorization: Bearer {wrong}"], timeout=PATIENCE)
        websocket.create_connection(audio.url, header=[f"Authorization: Bearer {BEARER}"], timeout=PATIENCE).close()
    assert len(compared) == 4
    assert [one == other for one, other in compared] == [False, False, False, True]
