"""The agent's calls: a conversation with each caller, and a connection to a person for callers who ask for that."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from hibari_voice import HibariVoice
from order import GREETING, Counter, Next

from relay_sync import Call, CallEnded, ConnectEvent, devices
from relay_sync.audio import AudioServer
from relay_sync.audio.speech import Conversation, Silero, Utterance

__all__ = ["Agent", "connect"]

#: Seconds of silence on both sides after which the agent asks whether the caller is still there.
PATIENCE: Final = 8.0
#: Longest time that leaving the program waits for conversations, in seconds.
EXIT_PATIENCE: Final = 10.0


class Agent:
    """Serves calls, any number at the same time. Leaving its ``with`` block waits until no call is being served.

    Close the client and the receiver first, because this ends the calls' conversations. Without the wait, Python may abort when
    the program exits while a recognizer is running.

    :param audio: the receiver.
    :param recognize: function that turns audio into text.
    :param speak: the agent's voice.
    :param person: the number that callers who ask for a person are connected to.
    :param folder: where the recordings are saved.
    """

    def __init__(
        self,
        audio: AudioServer,
        *,
        recognize: Callable[[Utterance], str],
        speak: HibariVoice,
        person: str,
        folder: Path = Path(),
    ) -> None:
        self.audio = audio
        self.recognize = recognize
        self.speak = speak
        self.person = person
        self.folder = folder
        self._serving = 0
        self._changed = threading.Condition()

    def serve(self, call: Call) -> None:
        """Answer a call, take an order or connect the caller to a person, and hang up."""
        self._count(1)
        try:
            self._serve(call)
        finally:
            self._count(-1)

    def _count(self, change: int) -> None:
        with self._changed:
            self._serving += change
            self._changed.notify_all()

    def __enter__(self) -> Agent:
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._serving == 0, EXIT_PATIENCE)

    def _serve(self, call: Call) -> None:
        counter, says, conversations = Counter(), GREETING, 0
        following: Next = "listen"
        try:
            call.answer()
            while following == "listen":
                conversations += 1
                path = self.folder / f"call-{call.call_id}-{conversations}.wav"
                following = self.talk(call, counter, says, path)
                if following == "connect" and not connect(call, self.person):
                    says, following = counter.keep(), "listen"
        except CallEnded:
            pass  # the caller has hung up
        finally:  # also after an error
            call.hangup()

    def talk(self, call: Call, counter: Counter, says: str, path: Path) -> Next:
        """Talk with the caller until the order is complete, the caller asks for a person, or the caller hangs up.

        :param says: the agent's first sentences.
        :param path: the WAV file to write.
        :return: what to do next: ``connect`` or ``hang up``.
        """
        with self.audio.connect(call, codec="PCMU") as stream:
            with Conversation(
                stream,
                recognize=self.recognize,
                speak=self.speak,
                speak_rate=self.speak.sample_rate,
                vad=Silero(),
                patience=PATIENCE,
            ) as talk:
                talk.say(says)
                following: Next = "hang up"  # if the caller hangs up
                for turn in talk:
                    talk.say(counter.answer(turn.text))
                    if counter.next != "listen":
                        following = counter.next
                        talk.wait_until_said(30)
                        break
            saved = save(talk, path)
        print(f"{talk.transcript}\n{saved}", flush=True)
        return following


def save(talk: Conversation, path: Path) -> str:
    """Save a conversation, and return a line about the result. If the disk is full, the call continues."""
    try:
        talk.save(path)
    except OSError as error:
        return f"the recording was not saved: {error}"
    return f"saved {path}"


def connect(call: Call, number: str) -> bool:
    """Connect the caller to a person, and wait until they have finished. Return ``False`` if the person does not answer."""
    with call.expect(ConnectEvent, is_over, timeout=3600) as bridge:  # start listening before the command is sent
        with call.expect(ConnectEvent, is_decided, timeout=60) as progress:
            call.connect(
                [[devices.phone(number, timeout=20)]],
                ringback=[{"type": "ringtone", "params": {"name": "us"}}],
            )
        if progress.value.connect_state == "connected":
            print(f"the caller talks to {number}", flush=True)
    return bridge.value.connect_state == "disconnected"


def is_decided(event: ConnectEvent) -> bool:
    return is_over(event) or (event.connect_state == "connected" and not is_about_stream(event))


def is_over(event: ConnectEvent) -> bool:
    return event.connect_state in ("failed", "disconnected") and not is_about_stream(event)


def is_about_stream(event: ConnectEvent) -> bool:
    """Return whether an event is about the audio stream. Its end may be reported after the stream was closed."""
    return bool(event.peer.get("device", {}).get("type") == "stream")
