"""A telephone agent that takes orders, offline: Whisper or PocketSphinx recognizes speech, and hibari speaks.

python examples/agent/agent.py --simulate
python examples/agent/agent.py --simulate --recognizer sphinx
PERSON=+15550102 python examples/agent/agent.py --model DIRECTORY

With ``--simulate``, two callers with other voices call. One of them orders, and interrupts the agent; the other one asks for a
person. For each conversation, the program prints the transcript and writes a stereo WAV file to the current folder. Callers who
ask for a person are connected to the number in PERSON.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from calls import Agent
from customer import PERSON, scenario, set_up_phones
from hibari_voice import HibariVoice
from order import EXPECTED, grammar

from relay_sync.audio.speech import Utterance

sys.path.append(str(Path(__file__).resolve().parent.parent))
from _network import SIMULATE, receiver, required, scene


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="A telephone agent that takes orders, offline.")
    parser.add_argument("--simulate", action="store_true", help="use a simulator with two callers; needs no account")
    parser.add_argument("--recognizer", choices=("whisper", "sphinx"), default="whisper")
    parser.add_argument("--model", help="directory of a Whisper model in the format of CTranslate2")
    return parser.parse_args()


def recognizer(chosen: argparse.Namespace) -> Callable[[Utterance], str]:
    """Return the function that turns audio into text. Only the packages of the chosen recognizer are needed."""
    if chosen.recognizer == "sphinx":
        from sphinx_recognizer import Sphinx

        return Sphinx(grammar())
    from whisper_recognizer import Whisper

    try:
        return Whisper(chosen.model, prompt=EXPECTED)
    except FileNotFoundError as error:
        sys.exit(str(error))


chosen = options()
person = PERSON if SIMULATE else required("PERSON", "the number that callers who ask for a person are connected to")
audio = receiver()
agent = Agent(audio, recognize=recognizer(chosen), speak=HibariVoice(), person=person)
with agent, audio, scene(scenario, setup=set_up_phones) as client:
    client.on_call(agent.serve)
    client.run()
