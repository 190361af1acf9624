"""Connect callers to a realtime speech model over a WebSocket, with OpenAI's realtime interface.

python examples/realtime_bridge.py --simulate
OPENAI_API_KEY=... python examples/realtime_bridge.py

The caller's audio goes to the service in mu-law, unchanged, and the model's audio is played to the caller. The service detects
turns. When the caller interrupts, playback stops, and the service learns how much of the answer the caller heard.

REALTIME_URL selects another service with this interface; with REALTIME_BETA=1, the names of its beta are sent. ``--simulate``
starts a stand-in for the service (``_realtime_service.py``), which answers every turn with the same recording.
"""

from __future__ import annotations

import base64
import binascii
import json
import logging
import os
import queue
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import Any, Final

from _service_socket import ServiceSocket, check

from relay_sync import Call, CallEnded, RelayError
from relay_sync.audio import AudioServer, AudioStream, codec_for, read_wav
from relay_sync.simulator import Simulator, speech

#: The events that are used here: their name, and their name in the beta if it differs.
#: Sources: "Client events" and "Server events" in https://developers.openai.com/api/reference/resources/realtime. For the beta:
#: https://platform.openai.com/docs/guides/realtime#beta-to-ga-migration, and src/openai/types/beta/realtime of openai-python.
NAMES: Final[dict[str, tuple[str, ...]]] = {
    # sent
    "configure": ("session.update",),
    "caller's audio": ("input_audio_buffer.append",),
    "answer": ("response.create",),
    "truncate": ("conversation.item.truncate",),
    # received
    "configured": ("session.updated",),
    "caller speaks": ("input_audio_buffer.speech_started",),
    "response starts": ("response.created",),
    "response ends": ("response.done",),
    "model's audio": ("response.output_audio.delta", "response.audio.delta"),
    "audio ends": ("response.output_audio.done", "response.audio.done"),
    "model's words": ("response.output_audio_transcript.done", "response.audio_transcript.done"),
    "error": ("error",),
}
#: What a received event means.
MEANINGS: Final = {name: meaning for meaning, names in NAMES.items() for name in names}
#: Names of mu-law in the session, and in the session of the beta.
MU_LAW: Final = ("audio/pcmu", "g711_ulaw")
PCMU: Final = codec_for("PCMU")
RATE: Final = 8000
#: Samples in a packet of the telephone network, which is heard as a whole or not at all.
PACKET: Final = RATE // 50
URL: Final = "wss://api.openai.com/v1/realtime?model=gpt-realtime"
INSTRUCTIONS: Final = "You answer the telephone of a bakery. Be brief and friendly."
#: Time for the service to confirm the session, in seconds.
PATIENCE: Final = 10.0
#: Largest amount of audio that may wait to be heard: seconds, and items. More is dropped.
MOST_AUDIO, MOST_ITEMS = 600.0, 8

_log = logging.getLogger("realtime_bridge")


def session(instructions: str, *, beta: bool = False) -> dict[str, Any]:
    """Return the fields of ``session.update``: mu-law both ways, and turns that the service detects.

    :param beta: whether to use the names of the beta.
    """
    turns = {"type": "server_vad", "create_response": True, "interrupt_response": True}
    if beta:
        return {
            "modalities": ["audio", "text"],
            "instructions": instructions,
            "input_audio_format": MU_LAW[1],
            "output_audio_format": MU_LAW[1],
            "turn_detection": turns,
        }
    return {
        "type": "realtime",
        "output_modalities": ["audio"],
        "instructions": instructions,
        "audio": {
            "input": {"format": {"type": MU_LAW[0]}, "turn_detection": turns},
            "output": {"format": {"type": MU_LAW[0]}},
        },
    }


def output_format(confirmed: Any) -> str | None:
    """Return the audio format in a session that the service confirmed, in either form; ``None`` if it does not contain any."""
    with suppress(KeyError, TypeError, AttributeError):
        return str(confirmed.get("output_audio_format") or confirmed["audio"]["output"]["format"]["type"])
    return None


class Item:
    """What the model says in one item of the conversation, on its way to the caller.

    :param stream: the caller's stream.
    :param item_id: the service's ID of the item.
    :param part: index of the part of the item that contains the audio.
    :param response_id: the service's ID of the response.
    """

    def __init__(self, stream: AudioStream, item_id: str, part: int, response_id: str) -> None:
        self.item_id, self.part, self.response_id = item_id, part, response_id
        self.samples = 0
        self._chunks: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self.playback = stream.play(self._audio(), wait=False)

    def _audio(self) -> Iterator[bytes]:
        while (chunk := self._chunks.get()) is not None:
            yield PCMU.decode(chunk)

    def add(self, chunk: bytes) -> None:
        """Add mu-law audio."""
        self.samples += len(chunk)
        self._chunks.put(chunk)

    def end(self) -> None:
        """End the audio. What was added is still played."""
        self._chunks.put(None)

    def heard_ms(self) -> int | None:
        """Return how many milliseconds were heard, after playback was stopped; ``None`` if all of the audio was heard."""
        heard = self.playback.wait(1.0)  # clear() has settled it
        if heard.complete:
            return None
        samples = -(-heard.samples // PACKET) * PACKET
        return 1000 * min(samples, self.samples) // RATE


class Bridge:
    """Carries audio between a caller and a realtime model, until either of them ends.

    A thread of the bridge sends the caller's audio. The events of the service are handled in the thread that calls :meth:`run`.

    :param stream: two-way stream with 8000 Hz.
    :param service: the connection to the service.
    :param beta: whether to send the names of the beta. Received events are understood in both forms.
    :param secret: text that is never printed, even if the service repeats it.
    :ivar items: what the model says, as far as the caller has not heard it.
    :ivar truncated: what was truncated: IDs of items, and the milliseconds of each that were heard.
    :ivar ignored: number of messages without effect, such as invalid messages and audio of canceled responses.
    """

    def __init__(self, stream: AudioStream, service: ServiceSocket, *, beta: bool = False, secret: str = "") -> None:
        if stream.sample_rate != RATE:
            raise ValueError(f"the stream has {stream.sample_rate} Hz, and mu-law {RATE} Hz: connect with codec='PCMU'")
        self.stream = stream
        self.service = service
        self.beta = beta
        self.items: deque[Item] = deque()
        self.truncated: list[tuple[str, int]] = []
        self.ignored: int = 0
        self._secret = secret
        self._response: str | None = None  # the response that is being generated
        self._canceled: deque[str] = deque(maxlen=64)  # responses whose audio is no longer wanted
        self._configured = False
        self._problem = ""  # what ends the bridge

    def run(self, instructions: str) -> str:
        """Carry audio until the caller hangs up or the connection to the service ends.

        :param instructions: what the model should know and do.
        :return: why it ended.
        """
        self._send("configure", session=session(instructions, beta=self.beta))
        threading.Thread(target=self._send_audio, name="realtime-uplink", daemon=True).start()
        limit = time.monotonic() + PATIENCE
        try:
            while not self._problem:
                left = None if self._configured else limit - time.monotonic()
                if left is not None and left <= 0:
                    raise TimeoutError
                text = self.service.receive(left)
                if text is None:
                    break
                self._handle(text)
        except TimeoutError:
            self._problem = f"the service did not confirm the session within {PATIENCE:g} s"
        finally:
            for item in self.items:
                item.end()
            self.service.close()
        if self.stream.ended:
            return "the caller hung up"
        return self._printable(self._problem or self.service.reason or "the connection to the service was closed")

    # -- to the service ------------------------------------------------------------------------------------------------

    def _send(self, meaning: str, **fields: Any) -> bool:
        return self.service.send(json.dumps({"type": NAMES[meaning][0], **fields}))

    def _send_audio(self) -> None:
        """Send the caller's audio. Ends with the stream or the connection."""
        for frame in self.stream:
            if not self._send("caller's audio", audio=base64.b64encode(PCMU.encode(frame.pcm)).decode()):
                break
        self.service.close()

    # -- from the service ----------------------------------------------------------------------------------------------

    def _handle(self, text: str) -> None:
        """Handle a message. Invalid messages, and audio that cannot be played, have no further effect."""
        try:
            event = json.loads(text)
            handle = _HANDLERS.get(MEANINGS.get(event["type"], ""))
            if handle is not None:
                handle(self, event)
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError, RelayError) as error:
            self._ignore(f"{type(error).__name__}: {error}")

    def _ignore(self, why: str) -> None:
        self.ignored += 1
        if self.ignored == 1:
            _log.warning("ignoring a message of the service, and further ones: %s", self._printable(why))

    def _printable(self, text: object) -> str:
        """Return what the service sent as one line without control characters."""
        line = str(text)[:500]
        if self._secret:
            line = line.replace(self._secret, "***")
        return "".join(each if each.isprintable() else " " for each in line)

    def _on_configured(self, event: dict[str, Any]) -> None:
        form = output_format(event["session"])
        if form not in (None, *MU_LAW):
            self._problem = f"the service would send {form} instead of mu-law"
        elif not self._configured:
            self._configured = True
            self._send("answer")  # the model speaks first

    def _on_error(self, event: dict[str, Any]) -> None:
        words = self._printable(event["error"]["message"])
        if not self._configured:
            self._problem = f"the service rejects the session: {words}"
        else:  # such an error concerns one event, and the session continues
            _log.warning("the service reports an error: %s", words)

    def _on_response(self, event: dict[str, Any]) -> None:
        self._response = str(event["response"]["id"])

    def _on_response_end(self, event: dict[str, Any]) -> None:
        ended = str(event["response"]["id"])
        if ended == self._response:
            self._response = None
        for item in self.items:
            if item.response_id == ended:
                item.end()

    def _on_audio(self, event: dict[str, Any]) -> None:
        item_id, response_id = str(event["item_id"]), str(event["response_id"])
        part, chunk = int(event["content_index"]), binascii.a2b_base64(event["delta"])
        while self.items and self.items[0].playback.done:
            self.items.popleft().end()
        if not self._configured or response_id in self._canceled:
            self._ignore("audio of a response that was canceled, or of no response")
            return
        last = self.items[-1] if self.items else None
        if sum(item.samples for item in self.items) > MOST_AUDIO * RATE or len(self.items) > MOST_ITEMS:
            self._ignore(f"more than {MOST_AUDIO:g} s of audio, or more than {MOST_ITEMS} items, wait to be heard")
        elif last is not None and last.item_id == item_id:
            last.add(chunk)
        else:
            if last is not None:
                last.end()
            self.items.append(Item(self.stream, item_id, part, response_id))
            self.items[-1].add(chunk)

    def _on_audio_end(self, event: dict[str, Any]) -> None:
        for item in self.items:
            if item.item_id == event["item_id"]:
                item.end()

    def _on_words(self, event: dict[str, Any]) -> None:
        print(f"model: {self._printable(event['transcript'])}", flush=True)

    def _on_caller(self, event: dict[str, Any]) -> None:
        """Stop playing, and send how much of each item the caller heard, as the platform's marks confirm."""
        if self._response is not None:  # more of its audio may be on the way
            self._canceled.append(self._response)
        items = [item for item in self.items if not item.playback.done]
        for item in self.items:
            item.end()
        self.items.clear()
        if items:
            self.stream.clear()
        for item in items:
            self._canceled.append(item.response_id)
            ms = item.heard_ms()
            if ms is None:
                continue
            self.truncated.append((item.item_id, ms))
            self._send("truncate", item_id=item.item_id, content_index=item.part, audio_end_ms=ms)
            print(f"the caller interrupts; {ms} ms were heard", flush=True)


_HANDLERS: Final[dict[str, Callable[[Bridge, dict[str, Any]], None]]] = {
    "configured": Bridge._on_configured,
    "caller speaks": Bridge._on_caller,
    "response starts": Bridge._on_response,
    "response ends": Bridge._on_response_end,
    "model's audio": Bridge._on_audio,
    "audio ends": Bridge._on_audio_end,
    "model's words": Bridge._on_words,
    "error": Bridge._on_error,
}


def headers(key: str, *, beta: bool) -> dict[str, str]:
    """Return the headers of the request for the WebSocket.

    :param key: key for the service.
    :param beta: whether to ask for the beta of the interface.
    """
    return {"Authorization": f"Bearer {key}", **({"OpenAI-Beta": "realtime=v1"} if beta else {})}


def answer(call: Call, audio: AudioServer, url: str, key: str, *, beta: bool = False) -> str:
    """Answer a call, and connect it to the service until the caller hangs up or the service ends.

    :param call: the call.
    :param audio: the receiver of the call's audio.
    :param url: URL of the service.
    :param key: key for the service.
    :param beta: whether to send the names of the beta.
    :return: why it ended.
    """
    call.answer()
    try:
        with audio.connect(call, codec="PCMU") as stream:
            service = ServiceSocket(url, headers=headers(key, beta=beta))
            return Bridge(stream, service, beta=beta, secret=key).run(INSTRUCTIONS)
    except ConnectionError as error:
        return str(error).replace(key, "***")
    finally:
        call.hangup()


def caller(simulator: Simulator) -> None:
    """Call, interrupt the greeting after two seconds, listen to the answer, and hang up."""
    words = read_wav(speech.caller()).pcm[: 2 * 2 * RATE]
    phone = simulator.call(to="+15550100", from_="+15550190", says=bytes(2 * 2 * RATE) + words)
    with suppress(CallEnded):
        stream = phone.wait_for_two_way_stream(timeout=30)
        stream.wait_for(lambda it: it.state == "finished" or len(it.heard_audio) > 2 * 5 * RATE, timeout=30)
        phone.hang_up()


def main() -> None:
    from _network import SIMULATE, receiver, required, scene  # changes how signals end the program

    with ExitStack() as stack:
        if SIMULATE:
            from _realtime_service import RealtimeService

            url, key, beta = stack.enter_context(RealtimeService()).url, "none", False
        else:
            url, key = (
                os.environ.get("REALTIME_URL", URL),
                required("OPENAI_API_KEY", "the key for the service").strip(),
            )
            beta = os.environ.get("REALTIME_BETA") == "1"
            try:
                check(url, headers(key, beta=beta))
            except ValueError as wrong:
                sys.exit(str(wrong))
        audio = stack.enter_context(receiver())
        client = stack.enter_context(scene(caller))

        @client.on_call
        def handle(call: Call) -> None:
            print(f"the call is over: {answer(call, audio, url, key, beta=beta)}", flush=True)

        client.run()


if __name__ == "__main__":
    main()
