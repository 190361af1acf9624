"""The program of docs/agents.md, with services that answer as those of the vendors do."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

import pytest

from relay_sync.audio import read_wav
from relay_sync.audio.speech import Interruption
from relay_sync.simulator import Simulator, speech
from tests.support import ROOT
from tests.support.background import until
from tests.support.hosting import PATIENCE, environment, launched
from tests.support.lines import FROM, TO
from tests.support.pages import blocks
from tests.support.party import PCMU
from tests.support.tones import tone

PAGE: Final = (ROOT / "docs" / "agents.md").read_text(encoding="utf-8")
(PROGRAM,) = blocks(PAGE)
QUESTION: Final = "When are you open?"
ANSWER: Final = "From 7 to 18."
#: The voice says everything in two seconds.
VOICE: Final = tone(16_000)


class Vendors:
    """The three services on one port, with what was sent to them.

    :ivar asked: path with query, headers, and body of each request.
    :ivar speaks: set while the voice sends more than its first part.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str], bytes]] = []
        self.speaks = threading.Event()
        self.speaks.set()
        vendors = self

        class Handler(BaseHTTPRequestHandler):
            answers: ClassVar[dict[str, Any]] = {
                "/v1/listen": {"results": {"channels": [{"alternatives": [{"transcript": QUESTION}]}]}},
                "/v1/chat/completions": {"choices": [{"message": {"role": "assistant", "content": ANSWER}}]},
            }

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                vendors.asked.append((self.path, dict(self.headers.items()), body))
                answer = self.answers.get(urlsplit(self.path).path)
                self.send_response(200)
                self.end_headers()
                if answer is not None:
                    self.wfile.write(json.dumps(answer).encode())
                    return
                self.wfile.write(VOICE[:1600])
                self.wfile.flush()
                vendors.speaks.wait(PATIENCE)
                self.wfile.write(VOICE[1600:])

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, name="vendors", daemon=True)
        self._thread.start()

    @property
    def variables(self) -> dict[str, str]:
        return {
            **dict.fromkeys(("DEEPGRAM_URL", "ELEVENLABS_URL", "MODEL_URL"), self.url),
            **dict.fromkeys(("DEEPGRAM_API_KEY", "ELEVENLABS_API_KEY", "MODEL_API_KEY"), "a-key"),
            "ELEVENLABS_VOICE": "a-voice",
        }

    def requests(self, path: str) -> list[tuple[str, dict[str, str], bytes]]:
        return [each for each in self.asked if each[0].startswith(path)]

    def __enter__(self) -> Vendors:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.speaks.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(PATIENCE)


@pytest.fixture
def vendors() -> Iterator[Vendors]:
    with Vendors() as vendors:
        yield vendors


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_the_program_holds_a_conversation(vendors: Vendors, tmp_path: Path) -> None:
    (tmp_path / "agent.py").write_text(PROGRAM, encoding="utf-8")
    words = read_wav(speech.caller()).pcm[:24_000]
    with Simulator() as sim:
        known = environment(sim, PYTHONUNBUFFERED="1", **vendors.variables)
        with launched(tmp_path, known, "agent.py") as process:
            sim.wait_for_client(timeout=PATIENCE)
            phone = sim.call(to=TO, from_=FROM, says=bytes(3 * 16_000) + words)
            stream = phone.wait_for_two_way_stream(timeout=PATIENCE)
            stream.wait_for(lambda stream: len(stream.heard_audio) >= 2 * len(VOICE), 20)
            phone.hang_up()
            phone.wait_until("ended", PATIENCE)
            process.wait_for_output(ANSWER)
            process.terminate()
            printed = process.output
    assert stream.heard_audio == 2 * PCMU.decode(PCMU.encode(VOICE))
    ((path, headers, body),) = vendors.requests("/v1/listen")
    assert path == "/v1/listen?model=nova-3&smart_format=true"
    assert headers["Authorization"] == "Token a-key"
    assert headers["Content-Type"] == "audio/wav"
    assert 1.0 < len(read_wav(io.BytesIO(body)).pcm) / 16_000 < 4.0
    ((_, headers, body),) = vendors.requests("/v1/chat")
    assert headers["Authorization"] == "Bearer a-key"
    system, user = json.loads(body)["messages"]
    assert "from 7 to 18" in system["content"]
    assert user == {"role": "user", "content": QUESTION}
    greeting, answer = vendors.requests("/v1/text-to-speech/a-voice/stream?output_format=pcm_8000")
    assert json.loads(greeting[2])["text"].startswith("Good morning")
    assert json.loads(answer[2])["text"] == ANSWER
    assert answer[1]["xi-api-key"] == "a-key"
    assert f"agent  {ANSWER}" in printed.splitlines()[-1]


@pytest.fixture
def scope(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """The names of the program, which is not started."""
    for name in ("PROJECT_ID", "API_TOKEN", "SPACE"):
        monkeypatch.setenv(f"SIGNALWIRE_{name}", "example.signalwire.com")
    names: dict[str, Any] = {"__name__": "agent"}
    exec(compile(PROGRAM.replace("\nclient.run()", ""), "agent.py", "exec", dont_inherit=True), names)
    yield names
    names["audio"].close()


@pytest.mark.parametrize(("heard", "left"), [(0.0, " ..."), (1.0, "From 7 ..."), (3.0, "From 7 to 18. ...")])
def test_the_model_only_remembers_what_was_heard(scope: dict[str, Any], heard: float, left: str) -> None:
    history = [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": ANSWER}]
    scope["forget_unheard"](history, Interruption(ANSWER, heard, 2.0))
    assert history[-1] == {"role": "assistant", "content": left}
    scope["forget_unheard"]([], Interruption(ANSWER, heard, 2.0))


def test_facts_are_found_by_their_words(scope: dict[str, Any]) -> None:
    assert scope["facts_for"]("How much is a loaf?") == ["A loaf of rye bread costs 4 dollars."]
    assert scope["facts_for"]("Hello?") == []


def test_the_voice_is_heard_before_it_is_complete(
    scope: dict[str, Any], vendors: Vendors, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in vendors.variables.items():
        monkeypatch.setenv(name, value)
    scope["ELEVENLABS"] = vendors.url
    vendors.speaks.clear()
    voice = scope["speak"](ANSWER)
    assert next(voice) == VOICE[:1600]
    voice.close()  # as an interruption does
    until(lambda: len(vendors.asked) == 1)
