"""``relay-sync demo``: the audio it leaves, what it prints, and that it notices when something is wrong."""

from __future__ import annotations

import re
import sys
from array import array
from pathlib import Path

import pytest

from relay_sync.audio import WavAudio, read_wav, write_wav
from relay_sync.cli import main
from relay_sync.cli.arguments import OFFICE
from relay_sync.cli.check import differences
from relay_sync.cli.conversation import Scene, converse
from relay_sync.cli.mistakes import Unsuccessful
from relay_sync.cli.progress import PlainProgress, level
from relay_sync.cli.timeline import MomentLog
from relay_sync.simulator import speech
from relay_sync.simulator.media.voice import Voice
from tests.support import ROOT


def samples(pcm: bytes) -> array[int]:
    values = array("h", pcm)
    if sys.byteorder == "big":
        values.byteswap()
    return values


def spoken(name: str) -> bytes:
    return read_wav(speech.caller() if name == "caller" else speech.greeting()).pcm


def sounds_like(heard: bytes, said: bytes) -> bool:
    """Whether each sample is within what G.711 may round it by: about a thirtieth of its size, or a small step."""
    return all(
        abs(one - other) <= 8 + abs(other) // 24 for one, other in zip(samples(heard), samples(said), strict=True)
    )


@pytest.mark.parametrize("codec", ["PCMU", "PCMA"])
def test_both_sides_of_the_call_are_on_disk(codec: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "call.wav"
    assert main(["demo", "--fast", "--codec", codec, "--out", str(out)]) == 0
    audio = read_wav(out)
    assert (audio.channels, audio.sample_rate) == (2, 8000)
    for channel, name in enumerate(("caller", "greeting")):
        said = spoken(name)
        heard = audio.channel(channel)
        assert sounds_like(heard[: len(said)], said)
        assert max(map(abs, samples(heard[len(said) :])), default=0) <= 8  # silence
    assert "identical to the sent audio" in capsys.readouterr().out


@pytest.mark.parametrize(("track", "name"), [("inbound", "caller"), ("outbound", "greeting")])
def test_one_side_alone_is_mono_and_exact_in_l16(track: str, name: str, tmp_path: Path) -> None:
    out = tmp_path / "call.wav"
    assert main(["demo", "--fast", "--codec", "L16", "--track", track, "--out", str(out)]) == 0
    audio, said = read_wav(out), spoken(name)
    assert audio.channels == 1
    assert audio.pcm[: len(said)] == said
    assert not any(audio.pcm[len(said) :])


def test_your_own_voice_in_wide_band(tmp_path: Path) -> None:
    says, out = tmp_path / "me.wav", tmp_path / "call.wav"
    said = b"".join((200 * (n % 50) - 5000).to_bytes(2, "little", signed=True) for n in range(16000))
    write_wav(says, said, 16000)
    arguments = ["--says", str(says), "--codec", "L16@16000h", "--track", "inbound", "--out", str(out)]
    assert main(["demo", "--fast", *arguments]) == 0
    audio = read_wav(out)
    assert audio.sample_rate == 16000
    assert audio.pcm == said


def test_it_tells_what_happened_in_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "call.wav"
    assert main(["demo", "--fast", "--out", str(out)]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    handler = [line for line in printed.out.splitlines() if "  relay-call-" in line]
    order = ["on_call:", "answered:", "audio.listen():", "first audio:", "stopped:", "saved: call.wav", "hung up:"]
    assert len(handler) == len(order)
    assert all(expected in line for expected, line in zip(order, handler, strict=True))
    told = [line.split("event: ")[1] for line in printed.out.splitlines() if "event: " in line]
    assert told == [
        "call ringing",
        "call answered",
        "stream streaming",
        "stream finished",
        "call ending",
        "call ended",
    ] or (
        told == ["call answered", *told[1:]] and len(told) == 5  # the call rang before anybody listened
    )
    assert (
        f"Audio:   {out} (8.1 s, 16-bit PCM, 8000 Hz, stereo, caller on the left, what the caller hears on the right)"
        in printed.out
    )
    assert "caller  ▅▆▅▁ ▄▃ █▄▂▅▅▆▄ ▄" in printed.out
    (next_heading,) = re.findall(r'^Next:    README\.md, "(.+?)"', printed.out, re.MULTILINE)
    assert f"\n## {next_heading}\n" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_what_was_there_is_replaced(tmp_path: Path) -> None:
    out = tmp_path / "call.wav"
    out.write_bytes(b"x" * 1_000_000)
    assert main(["demo", "--fast", "--out", str(out)]) == 0
    assert read_wav(out).channels == 2


@pytest.mark.slow
def test_in_real_time_it_takes_as_long_as_the_speech(tmp_path: Path) -> None:
    says, out = tmp_path / "me.wav", tmp_path / "call.wav"
    write_wav(says, spoken("caller")[: 2 * 8000], 8000)
    progress = _Seen()
    timeline = MomentLog()
    voice = Voice(read_wav(says).pcm)
    scene = Scene(says=voice, hears=Voice(b""), track="both", codec="PCMU", out=out, fast=False)
    outcome = converse(scene, timeline, progress)
    assert not differences(read_wav(out), outcome.sent)
    at = {moment.what.split(":")[0]: moment.at for moment in timeline.moments}
    assert 0.9 < at["stopped"] - at["first audio"] < 5
    # Live: the bar moves with the audio, not at its end.
    assert progress.seconds == sorted(progress.seconds)
    assert len({round(seconds, 1) for seconds in progress.seconds}) >= 8


class _Seen:
    def __init__(self) -> None:
        self.seconds: list[float] = []

    def __enter__(self) -> _Seen:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def update(self, seconds: float, levels: str = "") -> None:
        self.seconds.append(seconds)


# -- when something is wrong ---------------------------------------------------------------------------------------------


def test_a_handler_that_fails_is_told_and_nothing_is_left(tmp_path: Path) -> None:
    scene = Scene(
        says=Voice(b"\1\0" * 8000),
        hears=Voice(b""),
        track="both",
        codec="PCMU",
        out=tmp_path / "gone" / "call.wav",  # the folder is not there, and nobody looked before
        fast=True,
    )
    with pytest.raises(Unsuccessful, match=r"the handler failed: .*gone"):
        converse(scene, MomentLog(), PlainProgress(1.0, live=False))


def test_a_codec_that_the_network_refuses_is_told(tmp_path: Path) -> None:
    scene = Scene(
        says=Voice(b"\1\0" * 8000), hears=Voice(b""), track="both", codec="PCMU@16000h", out=tmp_path / "x", fast=True
    )
    with pytest.raises(Unsuccessful, match="no rate of 16000 Hz"):
        converse(scene, MomentLog(), PlainProgress(1.0, live=False))
    assert not (tmp_path / "x").exists()


def _recorded(*channels: bytes) -> WavAudio:
    pcm = b"".join(b"".join(parts) for parts in zip(*map(_words, channels), strict=True))
    return WavAudio(pcm=pcm, sample_rate=8000, channels=len(channels))


def _words(pcm: bytes) -> list[bytes]:
    return [pcm[at : at + 2] for at in range(0, len(pcm), 2)]


LEFT, RIGHT = b"\1\0" * 8000, b"\2\0" * 8000


def test_the_check_is_content_with_what_was_sent() -> None:
    assert differences(_recorded(LEFT, RIGHT), {"inbound": LEFT, "outbound": RIGHT}) == []


@pytest.mark.parametrize(
    ("recorded", "sent", "complaint"),
    [
        ((LEFT,), {"inbound": LEFT, "outbound": RIGHT}, "1 channels, but 2 tracks"),
        ((RIGHT, LEFT), {"inbound": LEFT, "outbound": RIGHT}, "inbound: differs from the sent audio 0.000 s into it"),
        ((LEFT[:-2],), {"inbound": LEFT}, "inbound: 7999 samples were saved, but 8000 were sent"),
        ((LEFT[:-1] + b"\1",), {"inbound": LEFT}, "inbound: differs from the sent audio 1.000 s into it"),
        ((b"",), {"inbound": b""}, "inbound: nothing was sent"),
    ],
)
def test_the_check_sees(recorded: tuple[bytes, ...], sent: dict[str, bytes], complaint: str) -> None:
    assert complaint in differences(_recorded(*recorded), sent)[0]


# -- its parts -----------------------------------------------------------------------------------------------------------


def test_loudness_in_one_character() -> None:
    assert level(b"") == level(bytes(320)) == " "
    assert level(b"\xff\x7f" * 160) == level(b"\x00\x80" * 160) == "█"
    assert " " < level(b"\x00\x08" * 160) < "█"


def test_the_timeline_is_in_order_and_names_threads() -> None:
    times = iter([10.0, 12.5, 11.0])
    timeline = MomentLog(lambda: next(times))
    timeline.note("second")
    timeline.note("first")
    assert [(moment.at, moment.what) for moment in timeline.moments] == [(1.0, "first"), (2.5, "second")]
    assert timeline.table().splitlines()[1] == "    1.000  MainThread  first"


def test_the_numbers_are_fictional() -> None:
    assert OFFICE.startswith("+155501")
