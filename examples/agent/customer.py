"""Callers of the simulator who talk to the agent with the voice of hibari. They listen to the agent, and interrupt it.

A program that has an account needs none of this.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from hibari_voice import HibariVoice

from relay_sync.audio import resample
from relay_sync.simulator import LiveVoice, Phone, Simulator, TwoWayStream

__all__ = ["PERSON", "Customer", "scenario", "set_up_phones"]

#: The number of the person to whom callers are connected.
PERSON: Final = "+15550102"
RATE: Final = 8000
#: Samples that a caller says at a time: 20 ms.
FRAME: Final = RATE // 50
#: Seconds without a sound after which a caller assumes that the agent has finished.
PAUSE: Final = 0.8
#: Longest time that a caller waits for the agent, in seconds.
PATIENCE: Final = 60.0


class Customer:
    """A simulated caller.

    :param simulator: the simulator.
    :param number: the caller's number.
    :param voice: the caller's voice.
    :ivar phone: the caller's phone.
    """

    def __init__(self, simulator: Simulator, number: str, voice: HibariVoice) -> None:
        self._voice = voice
        self._mouth = LiveVoice(RATE)
        self.phone: Phone = simulator.call(to="+15550100", from_=number, says=self._mouth)
        self._talks = 0  # streams on which the caller has talked to the agent
        self._heard = 0  # bytes of the agent's audio that the caller has reacted to
        self.stream: TwoWayStream = self._next_stream()

    def say(self, text: str) -> None:
        """Say something, and return when it has been said."""
        pcm = resample(b"".join(self._voice(text)), self._voice.sample_rate, RATE)
        began = time.monotonic()
        for number, start in enumerate(range(0, len(pcm), 2 * FRAME)):
            time.sleep(max(0.0, began + number * FRAME / RATE - time.monotonic()))
            self._mouth.feed(pcm[start : start + 2 * FRAME])
        self._heard = len(self.stream.heard_audio)

    def listen(self) -> None:
        """Listen until the agent has said something and has finished."""
        self._wait_for_speech(0.1)
        heard, since = 0, 0.0

        def is_finished(stream: TwoWayStream) -> bool:
            nonlocal heard, since
            if len(stream.heard_audio) != heard:
                heard, since = len(stream.heard_audio), time.monotonic()
            return time.monotonic() - since >= PAUSE

        self._wait_for(is_finished)

    def interrupt(self, text: str, *, after: float) -> None:
        """Say something while the agent speaks.

        :param after: how many seconds of the agent's speech the caller hears before.
        """
        self._wait_for_speech(after)
        self.say(text)

    def return_to_agent(self) -> None:
        """Wait until the agent talks to the caller again, because no person is free."""
        self.stream = self._next_stream()

    def _next_stream(self) -> TwoWayStream:
        self._talks += 1
        self._heard = 0
        return self.phone.wait_for_two_way_stream(self._talks - 1, timeout=PATIENCE)

    def _wait_for_speech(self, seconds: float) -> None:
        enough = self._heard + round(seconds * 2 * self.stream.format.rate)
        self._wait_for(lambda stream: len(stream.heard_audio) >= enough)

    def _wait_for(self, heard: Callable[[TwoWayStream], bool]) -> None:
        self.stream.wait_for(lambda stream: stream.over or heard(stream), PATIENCE, "the agent")


def set_up_phones(simulator: Simulator) -> None:
    """Configure the phone of the person to whom callers are connected."""
    simulator.expect_phone(PERSON, hangs_up_after=2.0)


def scenario(simulator: Simulator) -> None:
    """Place two calls, one after the other: an order, and a question for a person."""
    ann = Customer(simulator, "+15550190", HibariVoice(pitch=0.85))
    ann.interrupt("Two coffees and one tea, please.", after=3.0)
    ann.listen()
    ann.say("Yes, a sandwich.")
    ann.listen()
    ann.say("No, thank you.")
    ann.listen()
    ann.say("Yes, that is right.")
    ann.phone.wait_until("ended", PATIENCE)

    ben = Customer(simulator, "+15550191", HibariVoice(pitch=0.8, speed=1.1))
    ben.listen()
    ben.say("I would like to talk to a person.")
    ben.phone.wait_until("ended", PATIENCE)
