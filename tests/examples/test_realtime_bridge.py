"""``examples/realtime_bridge.py``: audio both ways, interruptions, and services that misbehave."""

from __future__ import annotations

import base64
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Final

import pytest
import realtime_bridge
from _realtime_service import RealtimeService
from _service_socket import ServiceSocket
from realtime_bridge import MEANINGS, NAMES, Bridge, output_format, session
from websockets.sync.server import ServerConnection

from relay_sync import Call, RelayClient
from relay_sync.audio import AudioServer, read_wav
from relay_sync.simulator import Simulator, speech
from tests.support import PATIENCE, ROOT
from tests.support.background import Background, until
from tests.support.lines import FROM, TO
from tests.support.party import PCMU, Party
from tests.support.services import ScriptedService, trusting
from tests.support.tls import tls_context
from tests.support.tones import tone

Json = dict[str, Any]
KEY: Final = "a-key-that-stays-secret"
#: Samples of a frame.
FRAME: Final = 160


class Service:
    """The other end of a bridge: sends what a test wants, and keeps what arrives.

    :ivar heard: the caller's audio.
    """

    def __init__(self, *, confirms: bool = True, beta: bool = False) -> None:
        self.heard = b""
        self._confirms = confirms
        self._events: queue.SimpleQueue[Json] = queue.SimpleQueue()
        self._connection: ServerConnection | None = None
        self._open = threading.Event()
        self._scripted = ScriptedService(self._serve)
        self.url = self._scripted.url

    def _serve(self, connection: ServerConnection) -> None:
        self._connection = connection
        self._open.set()
        for text in connection:
            event = json.loads(text)
            if event["type"] == "input_audio_buffer.append":
                self.heard += base64.b64decode(event["audio"])
            else:
                self._events.put(event)
            if event["type"] == "session.update" and self._confirms:
                self.send("session.updated", session=event["session"])

    def next(self) -> Json:
        """The next event that is not audio."""
        return self._events.get(timeout=PATIENCE)

    def ready(self) -> None:
        """Wait until the bridge has set up the session, and asked for the first answer."""
        assert [self.next()["type"] for _ in range(2)] == ["session.update", "response.create"]

    def send(self, kind: str, **fields: Any) -> None:
        self.send_text(json.dumps({"type": kind, **fields}))

    def send_text(self, text: str) -> None:
        assert self._open.wait(PATIENCE)
        assert self._connection is not None
        self._connection.send(text)

    def say(
        self, pcm: bytes, item: str = "i1", response: str = "r1", kind: str = "response.output_audio.delta"
    ) -> None:
        delta = base64.b64encode(PCMU.encode(pcm)).decode()
        self.send(kind, item_id=item, response_id=response, content_index=0, output_index=0, delta=delta)

    def end(self, item: str = "i1", kind: str = "response.output_audio.done") -> None:
        self.send(kind, item_id=item, content_index=0)

    def close(self) -> None:
        assert self._connection is not None
        self._connection.close()

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *_: object) -> None:
        self._scripted.__exit__(None, None, None)


class Running:
    """A bridge between a party and a service."""

    def __init__(self, party: Party, service: Service, *, beta: bool = False) -> None:
        self.party, self.service = party, service
        socket = ServiceSocket(service.url, headers={"Authorization": KEY}, context=trusting())
        self.bridge = Bridge(party.stream, socket, beta=beta, secret=KEY)
        self.run = Background(self.bridge.run, "Be brief.")


Start = Callable[..., Running]


@pytest.fixture
def start() -> Iterator[Start]:
    with AudioServer(two_way=True) as audio:
        made: list[Running] = []

        def make(*, beta: bool = False, **options: Any) -> Running:
            made.append(Running(Party(audio), Service(**options), beta=beta))
            return made[-1]

        yield make
        for each in made:
            each.party.__exit__(None, None, None)
            each.run.result()
            each.service.__exit__(None, None, None)
        names = ("realtime-", "service-socket")
        until(lambda: not [each for each in threading.enumerate() if each.name.startswith(names)])


# -- audio both ways ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("beta", [False, True])
def test_audio_passes_both_ways_in_mu_law(start: Start, beta: bool) -> None:
    running = start(beta=beta)
    party, service = running.party, running.service
    configured = service.next()
    assert configured["type"] == "session.update"
    assert configured["session"]["instructions"] == "Be brief."
    assert service.next() == {"type": "response.create"}
    said = PCMU.encode(tone(1600))
    party.send(said)
    until(lambda: service.heard == said)
    names = [NAMES[meaning][-1 if beta else 0] for meaning in ("model's audio", "audio ends", "model's words")]
    service.send("response.created", response={"id": "r1"})
    service.say(tone(1600), kind=names[0])
    service.say(tone(800), kind=names[0])
    service.end(kind=names[1])
    service.send(names[2], transcript="hello")
    service.send("response.done", response={"id": "r1"})
    until(lambda: party.heard == PCMU.encode(tone(1600) + tone(800)))
    party.hang_up()
    assert running.run.result() == "the caller hung up"


def test_the_names_are_those_of_the_interface() -> None:
    """As the service's reference spells them: each name has one meaning."""
    assert len(MEANINGS) == sum(map(len, NAMES.values()))
    assert session("x")["audio"]["input"]["format"] == {"type": "audio/pcmu"}
    assert session("x")["audio"]["input"]["turn_detection"]["type"] == "server_vad"
    assert session("x", beta=True)["input_audio_format"] == "g711_ulaw"
    assert session("x", beta=True)["turn_detection"]["type"] == "server_vad"


@pytest.mark.parametrize("beta", [False, True])
def test_the_confirmed_format_is_found(beta: bool) -> None:
    assert output_format(session("x", beta=beta)) in realtime_bridge.MU_LAW
    assert output_format({}) is None
    assert output_format([]) is None
    assert output_format({"audio": {"output": {"format": None}}}) is None


# -- interruptions -----------------------------------------------------------------------------------------------------


def test_an_answer_that_was_heard_is_not_truncated(start: Start) -> None:
    running = start()
    party, service = running.party, running.service
    service.ready()
    service.say(tone(800))
    service.end()
    until(lambda: len(party.heard) == 800)
    until(lambda: all(item.playback.done for item in tuple(running.bridge.items)))
    service.send("input_audio_buffer.speech_started")
    service.say(tone(800), "i2", "r2")
    until(lambda: len(party.heard) == 1600)
    assert running.bridge.truncated == []


def test_audio_of_a_canceled_response_is_not_played(start: Start) -> None:
    running = start()
    party, service = running.party, running.service
    service.ready()
    service.send("response.created", response={"id": "r1"})
    service.say(tone(80_000))
    party.wait_for_audio(0.1)
    service.send("input_audio_buffer.speech_started")
    truncated = service.next()
    assert truncated["type"] == "conversation.item.truncate"
    assert (truncated["item_id"], truncated["content_index"]) == ("i1", 0)
    heard = len(party.heard)
    assert 0 < truncated["audio_end_ms"] <= heard / 8
    service.say(tone(8000))  # late audio of the same item, and of another one of the response
    service.say(tone(8000), "i2", "r1")
    service.send("response.done", response={"id": "r1"})
    service.say(tone(8000), "i3", "r1")
    service.send("response.created", response={"id": "r2"})
    service.say(tone(480), "i4", "r2")
    service.end("i4")
    until(lambda: running.bridge.ignored == 3)
    until(lambda: party.heard[heard:].endswith(PCMU.encode(tone(480))))
    assert len(party.heard) < heard + 1600
    assert party.cleared == 1


def test_what_waits_behind_the_interrupted_item_was_not_heard(start: Start) -> None:
    running = start()
    party, service = running.party, running.service
    service.ready()
    service.say(tone(80_000))
    service.say(tone(8000), "i2")
    party.wait_for_audio(0.1)
    service.send("input_audio_buffer.speech_started")
    first, second = service.next(), service.next()
    assert (first["item_id"], second["item_id"]) == ("i1", "i2")
    assert first["audio_end_ms"] > 0
    assert second["audio_end_ms"] == 0


def truncations(service: RealtimeService) -> list[Json]:
    return [event for event in tuple(service.events) if event["type"] == "conversation.item.truncate"]


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_what_is_truncated_is_what_the_caller_heard() -> None:
    """The simulator's caller interrupts: the service learns what it heard, to a frame.

    On a busy machine, the command that stops playback arrives late. Then, the next call counts.
    """
    with RealtimeService(tls_context()) as service, Simulator() as sim, AudioServer() as audio:
        client = RelayClient(**sim.credentials, contexts=["default"])
        ended: queue.SimpleQueue[list[tuple[str, int]]] = queue.SimpleQueue()

        @client.on_call
        def handle(call: Call) -> None:
            call.answer()
            with audio.connect(call, codec="PCMU") as stream:
                bridge = Bridge(stream, ServiceSocket(service.url, headers={}, context=trusting()))
                assert bridge.run("Be brief.") == "the caller hung up"
                ended.put(bridge.truncated)

        with client:
            sim.wait_for_client(timeout=PATIENCE)
            words = read_wav(speech.caller()).pcm[:32_000]
            more: list[int] = []
            for _ in range(5):
                phone = sim.call(to=TO, from_=FROM, says=bytes(2 * 8000 * 3 // 2) + words)
                stream = phone.wait_for_two_way_stream(timeout=PATIENCE)
                until(lambda: len(truncations(service)) > len(more))
                stream.wait_for(lambda stream: stream.waiting == 0)
                heard = len(stream.heard_audio) // 2
                phone.hang_up()
                ((item_id, ms),) = ended.get(timeout=PATIENCE)
                assert item_id == "item-1"
                sent = {"item_id": item_id, "content_index": 0, "audio_end_ms": ms}
                assert sent.items() <= truncations(service)[-1].items()
                more.append(heard - 8 * ms)
                assert more[-1] >= -FRAME
                if more[-1] <= FRAME:
                    return
        pytest.fail(f"samples that were heard, and not reported: {more}")


# -- services that misbehave -------------------------------------------------------------------------------------------


def test_a_rejected_session_ends_the_bridge(start: Start) -> None:
    running = start(confirms=False)
    running.service.next()
    running.service.send("error", error={"message": f"no such model for {KEY}\n\x1b[31m"})
    assert running.run.result() == "the service rejects the session: no such model for ***  [31m"


def test_a_session_in_another_format_ends_the_bridge(start: Start) -> None:
    running = start(confirms=False)
    running.service.send("session.updated", session={"audio": {"output": {"format": {"type": "audio/pcm"}}}})
    assert running.run.result() == "the service would send audio/pcm instead of mu-law"


@pytest.mark.parametrize("talks", [False, True], ids=["silent", "talkative"])
def test_a_session_that_is_never_confirmed(start: Start, monkeypatch: pytest.MonkeyPatch, talks: bool) -> None:
    monkeypatch.setattr(realtime_bridge, "PATIENCE", 0.3)
    running = start(confirms=False)

    def talk() -> None:
        with suppress(Exception):
            while True:
                running.service.say(tone(160))

    talking = Background(talk) if talks else None
    assert running.run.result() == "the service did not confirm the session within 0.3 s"
    assert running.party.heard == b""
    if talking is not None:
        talking.result()


def test_a_service_that_closes(start: Start) -> None:
    running = start()
    running.service.next(), running.service.next()
    running.service.close()
    assert running.run.result().startswith("the service closed the connection (code 1000")
    assert not running.party.stream.ended


NONSENSE: Final = [
    "",
    "x",
    "[]",
    "null",
    "{}",
    '{"type": []}',
    '{"type": 5}',
    '{"type": "response.output_audio.delta"}',
    '{"type": "response.output_audio.delta", "item_id": 1, "response_id": 2, "content_index": 0, "delta": 5}',
    '{"type": "response.output_audio.delta", "item_id": 1, "response_id": 2, "content_index": "x", "delta": "AAAA"}',
    '{"type": "response.output_audio.delta", "item_id": 1, "response_id": 2, "content_index": 0, "delta": "A"}',
    '{"type": "response.created"}',
    '{"type": "response.created", "response": "x"}',
    '{"type": "response.done", "response": []}',
    '{"type": "error"}',
    '{"type": "error", "error": "x"}',
    '{"type": "session.updated"}',
    '{"type": "response.output_audio_transcript.done"}',
    "[" * 5000,
    '{"type": "x", "number": ' + "1" * 5000 + "}",
]


def test_nonsense_has_no_effect(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    running = start()
    running.service.next(), running.service.next()
    for text in NONSENSE:
        running.service.send_text(text)
    running.service.send("error", error={"message": f"wrong key {KEY}"})
    running.service.say(tone(800))
    running.service.end()
    until(lambda: running.party.heard == PCMU.encode(tone(800)))
    messages = [each.getMessage() for each in caplog.records if each.name == "realtime_bridge"]
    assert len([each for each in messages if each.startswith("ignoring a message")]) == 1
    assert messages[-1] == "the service reports an error: wrong key ***"
    assert KEY not in caplog.text


def test_items_without_end_do_not_start_threads_without_end(start: Start) -> None:
    running = start()
    running.service.next(), running.service.next()
    for number in range(100):
        running.service.say(tone(8000), f"i{number}")
    until(lambda: running.bridge.ignored > 80)
    playing = [each for each in threading.enumerate() if "-play-" in each.name]
    assert len(playing) <= realtime_bridge.MOST_ITEMS + 1


def test_more_audio_than_anyone_waits_for_is_dropped(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(realtime_bridge, "MOST_AUDIO", 2.0)
    running = start()
    running.service.next(), running.service.next()
    for _ in range(20):
        running.service.say(tone(8000))
    until(lambda: running.bridge.ignored >= 15)
    running.service.send("input_audio_buffer.speech_started")
    assert running.service.next()["type"] == "conversation.item.truncate"


def test_a_caller_who_hangs_up_while_the_model_speaks(start: Start) -> None:
    running = start()
    running.service.next(), running.service.next()
    running.service.say(tone(80_000))
    running.party.wait_for_audio(0.1)
    running.party.hang_up()
    assert running.run.result() == "the caller hung up"


# -- the program -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_program_holds_a_conversation() -> None:
    done = subprocess.run(
        [sys.executable, "examples/realtime_bridge.py", "--simulate"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    words = speech.greeting().with_suffix(".txt").read_text(encoding="utf-8").strip()
    first, interrupted, second, over = done.stdout.splitlines()
    assert first == second == f"model: {words}"
    assert interrupted.startswith("the caller interrupts; 2")
    assert over == "the call is over: the caller hung up"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals cannot be sent to one process there")
def test_one_ctrl_c_ends_the_program() -> None:
    with subprocess.Popen(
        [sys.executable, "examples/realtime_bridge.py", "--simulate"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("model: ")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=15)
    assert process.returncode == 130
    assert "Traceback" not in errors


@pytest.mark.slow
@pytest.mark.parametrize(("key", "said"), [("", "set OPENAI_API_KEY"), ("a\u20ac", "not printable ASCII")])
def test_a_key_that_is_missing_or_invalid(key: str, said: str) -> None:
    names = ("SIGNALWIRE_", "RELAY_", "OPENAI_", "REALTIME_")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(names)}
    done = subprocess.run(
        [sys.executable, "examples/realtime_bridge.py"],
        cwd=ROOT,
        env={**clean, "OPENAI_API_KEY": key},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
