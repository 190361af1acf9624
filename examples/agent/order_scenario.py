"""The agent as a program that a scenario tests, and the voice and the recognizer of the caller. It runs offline:

relay-sync converse examples/agent/order.toml
"""

from __future__ import annotations

from calls import Agent
from customer import PERSON
from hibari_voice import HibariVoice
from order import EXPECTED
from whisper_recognizer import Whisper

from relay_sync import RelayClient
from relay_sync.audio import AudioServer

__all__ = ["client", "recognize", "speak"]

#: Recognizes both sides: the caller for the agent, and the agent for the scenario.
recognize = Whisper(prompt=EXPECTED)
voice = HibariVoice(speed=1.1, pitch=0.85)


def speak(text: str) -> tuple[bytes, int]:
    """Return what the caller says, with its sample rate."""
    return b"".join(voice(text)), voice.sample_rate


client = RelayClient(contexts=["default"])
client.on_call(Agent(AudioServer(), recognize=recognize, speak=HibariVoice(), person=PERSON).serve)
