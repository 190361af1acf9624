"""Simulated call for the demo, with the simulator, the client and the audio receiver in one process."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Final

from attrs import define, field, frozen

from ..audio import AudioServer, AudioStream, StreamStats
from ..call.call import Call
from ..client.client import RelayClient
from ..errors import RelayError
from ..simulator import Simulator
from ..simulator.media.voice import Voice
from ..threads.flag import Flag
from ..threads.outcome import wait_for_event
from ..threads.starting import join_all
from .arguments import CALLER, OFFICE
from .mistakes import Unsuccessful
from .progress import Progress, level
from .timeline import MomentLog

__all__ = ["PARTIES", "Outcome", "Scene", "converse"]

#: Timeout in seconds for steps that are normally immediate.
PATIENCE: Final = 15.0
#: Name of the party on each track.
PARTIES: Final = {"inbound": "caller", "outbound": "callee"}


@frozen(kw_only=True)
class Scene:
    """Parameters of the call.

    :ivar says: the caller's speech.
    :ivar hears: speech played to the caller.
    :ivar track: track to stream: ``inbound``, ``outbound`` or ``both``.
    :ivar codec: the codec, as accepted by ``call.stream``.
    :ivar out: WAV file to save.
    :ivar fast: whether to send audio as fast as possible.
    :ivar voices: speech for each streamed track, in the file's channel order.
    """

    says: Voice
    hears: Voice
    track: str
    codec: str
    out: Path
    fast: bool

    @property
    def voices(self) -> dict[str, Voice]:
        both = {"inbound": self.says, "outbound": self.hears}
        return {name: voice for name, voice in both.items() if self.track in (name, "both")}

    @property
    def seconds(self) -> float:
        """Duration of the longer speech, in seconds."""
        return max(voice.duration for voice in self.voices.values())


@frozen(kw_only=True)
class Outcome:
    """Result of the call.

    :ivar sent: audio sent by the simulator for each track, as PCM decoded from the sent frames.
    :ivar stats: the receiver's statistics.
    :ivar end_reason: why the stream ended, according to the receiver.
    """

    sent: dict[str, bytes] = field(repr=False)
    stats: StreamStats
    end_reason: str | None


@define(eq=False)
class _Answering:
    """Handler for the call. It runs in its own thread and may block."""

    scene: Scene
    audio: AudioServer
    timeline: MomentLog
    progress: Progress
    done: Flag = field(factory=Flag, init=False)
    error: Exception | None = field(default=None, init=False)
    stream: AudioStream | None = field(default=None, init=False)

    def __call__(self, call: Call) -> None:
        try:
            self._answer(call)
        except Exception as error:
            # Do not re-raise the exception. The client would log a traceback, and the command prints a single line instead.
            self.error = error
            self._give_up(call)
        finally:
            self.done.set()

    @staticmethod
    def _give_up(call: Call) -> None:
        try:
            call.hangup("error")
        except RelayError:
            pass  # The first error is more relevant.

    def _answer(self, call: Call) -> None:
        note = self.timeline.note
        note("on_call: the handler starts, in a thread of this call")
        call.on("calling.call.state", lambda event: note(f"event: call {event.call_state}"))
        call.on("calling.call.stream", lambda event: note(f"event: stream {event.state}"))
        call.answer()
        call.wait_for_answered(PATIENCE)
        note("answered: call.answer() has returned, the call is connected")
        with self.audio.listen(call, track=self.scene.track, codec=self.scene.codec, timeout=PATIENCE) as stream:
            self.stream = stream
            note(f"audio.listen(): {stream.media_format.encoding} at {stream.sample_rate} Hz is arriving")
            self._hear(stream)
        note(f"stopped: the stream has ended ({stream.end_reason})")
        if stream.stats.seconds < self.scene.seconds - 0.001:
            raise Unsuccessful(
                f"the audio ended ({stream.end_reason}) after {stream.stats.seconds:.1f} of {self.scene.seconds:.1f} s"
            )
        stream.save(self.scene.out)
        note(f"saved: {self.scene.out.name}")
        call.hangup()
        call.wait_for_ended(PATIENCE)
        note(f"hung up: the call has ended ({call.end_reason})")

    def _hear(self, stream: AudioStream) -> None:
        """Receive audio until the speech has been received or the stream ends."""
        levels: dict[str, str] = {}
        while stream.stats.seconds < self.scene.seconds - 0.001:
            frame = stream.read_frame(PATIENCE)
            if frame is None:
                return
            if not levels:
                self.timeline.note(f"first audio: {frame.samples} samples of the {PARTIES[frame.track]}")
            levels[frame.track] = level(frame.pcm)
            shown = "  ".join(f"{PARTIES[track]} {loud}" for track, loud in levels.items())
            self.progress.update(frame.timestamp + frame.duration, shown)
        self.progress.update(self.scene.seconds)


def converse(scene: Scene, timeline: MomentLog, progress: Progress) -> Outcome:
    """Make the call, then close the client, the receiver and the simulator.

    :param scene: parameters of the call.
    :param timeline: log of the call's steps.
    :param progress: progress display.
    :raises Unsuccessful: a step failed. The original exception is chained.
    """
    media = "fast" if scene.fast else "realtime"
    before = set(threading.enumerate())
    try:
        with (
            Simulator(media=media, record_seconds=scene.seconds + 4 * PATIENCE) as simulator,
            AudioServer() as audio,
        ):
            outcome = _converse(scene, timeline, progress, simulator, audio)
    except (RelayError, OSError) as error:
        raise Unsuccessful(f"the call failed: {error}") from error
    left = _left_over(before)
    if left:
        raise Unsuccessful(f"threads are still running: {', '.join(left)}")
    timeline.note("done: client, receiver and simulator are closed, and their threads have ended")
    return outcome


def _left_over(before: set[threading.Thread]) -> list[str]:
    """Return the names of threads started by relay_sync that are still running."""
    ours = [each for each in threading.enumerate() if each not in before and each.name.startswith("relay-")]
    return [thread.name for thread in join_all(ours, PATIENCE)]


def _converse(
    scene: Scene, timeline: MomentLog, progress: Progress, simulator: Simulator, audio: AudioServer
) -> Outcome:
    client = RelayClient(**simulator.credentials, contexts=["default"])
    answering = _Answering(scene, audio, timeline, progress)
    client.on_call(answering)
    try:
        client.connect()
        timeline.note("connected: the client waits for calls")
        phone = simulator.call(to=OFFICE, from_=CALLER, says=scene.says, hears=scene.hears)
        timeline.note(f"{CALLER} calls {OFFICE}")
        if not wait_for_event(answering.done, scene.seconds + 4 * PATIENCE):
            raise Unsuccessful(f"the handler has not finished; the call is {phone.state}")
        if answering.error is not None:
            raise Unsuccessful(f"the handler failed: {answering.error}") from answering.error
        phone.wait_until("ended", PATIENCE)
        sent = phone.streams[0].sent
    finally:
        client.disconnect(hangup_calls=True)  # The call is only live at this point after an error or Ctrl-C.
    timeline.note("disconnected")
    stream = answering.stream
    assert stream is not None  # The handler has succeeded, so there was a stream.
    return Outcome(sent=sent, stats=stream.stats, end_reason=stream.end_reason)
