"""One call, all of it in this process: the telephone network, the client that answers, and the receiver of the audio."""

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
from .mistakes import Unsuccessful
from .progress import Progress, level
from .timeline import MomentLog

__all__ = ["Outcome", "Scene", "converse"]

CALLER: Final = "+15550199"
OFFICE: Final = "+15550100"
#: Seconds for each step that takes no time by itself, on a busy machine.
PATIENCE: Final = 15.0
_NAMES: Final = {"inbound": "caller", "outbound": "far side"}


@frozen(kw_only=True)
class Scene:
    """What is to happen.

    :ivar voices: who speaks, by track, in the order of the channels in the file.
    :ivar track: what is streamed: ``inbound``, ``outbound`` or ``both``. :ivar codec: as for ``call.stream``.
    :ivar out: where the audio is saved. :ivar fast: media without a clock.
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
        """How long there is something to hear."""
        return max(voice.duration for voice in self.voices.values())


@frozen(kw_only=True)
class Outcome:
    """What came of it.

    :ivar sent: by the simulator's own account, per track: PCM after the codec's rounding.
    :ivar stats: what the receiver counted. :ivar end_reason: how the stream ended for it.
    """

    sent: dict[str, bytes] = field(repr=False)
    stats: StreamStats
    end_reason: str | None


@define(eq=False)
class _Answering:
    """The handler of the call. It blocks, as handlers may: it runs in a thread of its own."""

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
            # Not raised on: it would be logged with its traceback, and is to be told as one line.
            self.error = error
            self._give_up(call)
        finally:
            self.done.set()

    @staticmethod
    def _give_up(call: Call) -> None:
        try:
            call.hangup("error")
        except RelayError:
            pass  # what went wrong first is what counts

    def _answer(self, call: Call) -> None:
        note = self.timeline.note
        note("on_call: the handler starts, in a thread of this call")
        call.on("calling.call.state", lambda event: note(f"event: call {event.call_state}"))
        call.on("calling.call.stream", lambda event: note(f"event: stream {event.state}"))
        call.answer()
        call.wait_for_answered(PATIENCE)
        note("answered: call.answer() has returned, the call is up")
        with self.audio.listen(call, track=self.scene.track, codec=self.scene.codec, timeout=PATIENCE) as stream:
            self.stream = stream
            note(f"audio.listen(): {stream.media_format.encoding} at {stream.sample_rate} Hz is coming")
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
        """Listen until everything has been said."""
        levels: dict[str, str] = {}
        while stream.stats.seconds < self.scene.seconds - 0.001:
            frame = stream.read_frame(PATIENCE)
            if frame is None:
                return
            if not levels:
                self.timeline.note(f"first audio: {frame.samples} samples of the {_NAMES[frame.track]}")
            levels[frame.track] = level(frame.pcm)
            shown = "  ".join(f"{_NAMES[track]} {loud}" for track, loud in levels.items())
            self.progress.update(frame.timestamp + frame.duration, shown)
        self.progress.update(self.scene.seconds)


def converse(scene: Scene, timeline: MomentLog, progress: Progress) -> Outcome:
    """Have the call, from the first ring to the last goodbye. When this returns or raises, nothing of it is left.

    :raises Unsuccessful: any step failed; the cause is chained.
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
        raise Unsuccessful(f"the call went wrong: {error}") from error
    left = _left_over(before)
    if left:
        raise Unsuccessful(f"threads are left over: {', '.join(left)}")
    timeline.note("over: client, receiver and simulator are closed, and none of their threads is left")
    return outcome


def _left_over(before: set[threading.Thread]) -> list[str]:
    """The names of our threads that do not end."""
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
            raise Unsuccessful(f"the handler is not done; the call is {phone.state}")
        if answering.error is not None:
            raise Unsuccessful(f"the handler failed: {answering.error}") from answering.error
        phone.wait_until("ended", PATIENCE)
        sent = phone.streams[0].sent
    finally:
        client.disconnect(hangup_calls=True)  # there is one only if something went wrong, or Ctrl-C was pressed
    timeline.note("disconnected")
    stream = answering.stream
    assert stream is not None  # a handler without a stream has failed
    return Outcome(sent=sent, stats=stream.stats, end_reason=stream.end_reason)
