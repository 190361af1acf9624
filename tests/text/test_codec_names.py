"""Words that name no codec of calls are refused wherever a codec is taken, with the right one suggested."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest

from relay_sync import InvalidParameter, devices
from relay_sync.audio import AudioServer
from relay_sync.cli import main
from relay_sync.rest import RestClient
from relay_sync.simulator import Simulator
from relay_sync.simulator.media.formats import parse_codec
from relay_sync.text.codec_names import USUAL, advice, right_names
from tests.support.lines import line

MEANT = {
    "PCMU": "MULAW ULAW mulaw u-law mu-law µ-law μ-law PCM_MULAW pcm_mulaw G711U G.711U g711_ulaw audio/x-mulaw audio/basic"
    " audio/PCMU ulaw_8000 X-MULAW mulaw8k G.711-mu PCMU/8000",
    "PCMA": "ALAW a-law alaw_8000 PCM_ALAW G711A G.711A audio/x-alaw audio/PCMA;rate=8000",
    "L16": "PCM PCM16 pcm_s16le PCM-16 pcm_16000 pcm_24khz S16LE LINEAR16 Linear-16 SLIN slin16 slin48 INT16 WAV wave .wav"
    " audio/wav RAW LPCM audio/L16;rate=16000 float32",
    "OPUS": "ogg_opus webm-opus audio/opus libopus",
    "G722": "G.722 audio/G722",
}
FILES = "MP3 mp3 .mp3 audio/mpeg AAC aac m4a MP4 FLAC OGG ogg Vorbis audio/ogg;codecs=vorbis WEBM wma MPEG MP3@8000h mp3_44100"
CODECS = "PCMU pcma Opus L16 l16@16000h L16@16000h@40i G722 G722@8000h GSM G729 SPEEX ILBC AMR EVS SILK CODEC2 PCMU@40i"


@pytest.mark.parametrize(("word", "name"), [(word, name) for name, words in MEANT.items() for word in words.split()])
def test_a_word_means_one_codec(word: str, name: str) -> None:
    assert right_names(word) == (name,)
    what = " for uncompressed 16-bit samples" if name == "L16" else ""
    assert advice(word) == f"{name!r}{what} ({word!r} is not a codec of telephone calls)"


@pytest.mark.parametrize("word", FILES.split())
def test_a_format_of_files_means_none(word: str) -> None:
    assert advice(word).startswith("'PCMU' or 'OPUS' (")


@pytest.mark.parametrize("word", ["G711", "G.711", "g711"])
def test_one_word_may_mean_two(word: str) -> None:
    assert right_names(word) == ("PCMU", "PCMA")


@pytest.mark.parametrize("word", [*CODECS.split(), "", "@", "not a codec", "\0", "16", "8000"])
def test_other_words_are_left_alone(word: str) -> None:
    assert right_names(word) == ()


def test_only_what_is_accepted_is_suggested() -> None:
    assert advice("MP3", ("PCMU",)).startswith("'PCMU' (")
    assert advice("WAV", ("PCMU", "OPUS")) == ""


TAKERS: dict[str, Callable[[Any, str], object]] = {
    "call.stream": lambda one, word: one.call.stream("wss://a.example", codec=word),
    "call.answer": lambda one, word: one.call.answer(codecs=[word]),
    "call.tap": lambda one, word: one.call.tap(
        {"type": "audio", "params": {"direction": "both"}},
        {"type": "ws", "params": {"uri": "wss://a.example", "codec": word}},
    ),
    "devices.stream": lambda one, word: devices.stream("wss://a.example", codec=word),
    "devices.sip": lambda one, word: devices.sip("sip:a@b.example", codecs=[word]),
    "audio.listen": lambda one, word: one.audio.listen(one.call, codec=word),
    "audio.connect": lambda one, word: one.audio.connect(one.call, codec=word),
    "audio.device": lambda one, word: one.audio.device(codec=word),
    "rest.stream": lambda one, word: one.rest.call("c").stream("wss://a.example", codec=word),
    "rest.dial": lambda one, word: one.rest.dial(
        to="+15550100", from_="+15550199", url="https://a.example", codecs=f"PCMA,{word}"
    ),
    "rest.dial list": lambda one, word: one.rest.dial(
        to="+15550100", from_="+15550199", url="https://a.example", codecs=[word]
    ),
}


class Everything:
    """A call, a receiver and a REST client."""

    def __init__(self, sim: Simulator, call: Any, audio: AudioServer) -> None:
        self.call = call
        self.audio = audio
        self.rest = RestClient(**sim.credentials)


def commands(sim: Simulator) -> list[str]:
    return [entry.method for entry in sim.journal if entry.direction == "in" and entry.method.startswith("calling.")]


@pytest.mark.parametrize("word", ["MP3", "ulaw", "G.711U", "Mulaw"])
@pytest.mark.parametrize("taker", TAKERS.values(), ids=list(TAKERS))
def test_it_is_refused_before_anything_is_sent(taker: Callable[[Any, str], object], word: str, sim: Simulator) -> None:
    with line(sim) as one, AudioServer() as audio:
        everything = Everything(sim, one.call, audio)
        before = commands(sim)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(InvalidParameter, match=r"'PCMU'.* is not a codec of telephone calls\)"):
                taker(everything, word)
        assert commands(sim) == before


def test_another_name_is_sent_with_one_warning(sim: Simulator) -> None:
    with line(sim) as one:
        with pytest.warns(UserWarning, match="'SILK' is none of") as warned:
            one.call.stream("ws://127.0.0.1:9", codec="silk")
        assert len(warned) == 1
        assert sim.journal.requests("calling.stream")[-1]["params"]["codec"] == "SILK"


@pytest.mark.parametrize("word", ["MP3", "MULAW", "PCM16"])
def test_simulator_and_command_line_say_the_same(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match=f"^codec must be .*{word}"):
        parse_codec(word, 20)
    assert main(["demo", "--codec", word]) == 2
    assert advice(word) in capsys.readouterr().err


def test_what_is_suggested_is_taken() -> None:
    for name in USUAL:
        assert right_names(name) == ()
        assert parse_codec(name, 20).playable
