"""Waveforms of streams whose audio is not kept."""

from __future__ import annotations

from relay_sync.audio import AudioFrame
from relay_sync.cli.pictures import StreamPicture
from tests.support.speech import RATE, pcm_of, scene, utterances
from tests.support.tones import tone

PIECE = RATE // 50


def hear(
    picture: StreamPicture, pcm: bytes, track: str = "inbound", *, at: float = 0.0, encoding: str | None = None
) -> None:
    for start in range(0, len(pcm) // 2, PIECE):
        part = pcm[2 * start : 2 * (start + PIECE)]
        picture.hear(
            AudioFrame(data=part, track=track, timestamp=at + start / RATE, sample_rate=RATE, encoding=encoding)
        )


def test_speech_is_marked_and_silence_is_not() -> None:
    picture, talk = StreamPicture(), scene(utterances()[:2])
    hear(picture, talk.pcm)
    hear(picture, bytes(6 * RATE), "outbound")
    drawn = picture.drawn(80, ascii=True).splitlines()
    assert [line.split(" ")[0] for line in drawn] == ["inbound", "", "", "outbound", "", ""]
    assert drawn[2].count("|") == 4, "two utterances"
    assert "|" not in "".join(drawn[3:])
    assert drawn[-1].endswith(f"{talk.seconds:.1f} s")
    first = drawn[2].index("|") - 9
    assert abs(first / 71 * talk.seconds - talk.spoken[0][0]) < 0.4


def test_a_long_stream_is_drawn_from_a_limited_number_of_parts() -> None:
    picture = StreamPicture()
    loud, quiet = pcm_of(utterances()[0].sound), bytes(2 * PIECE)
    hear(picture, loud)
    for second in range(3, 7200, 5):
        hear(picture, quiet, at=float(second))
    hear(picture, loud, at=7200.0)
    top = picture.drawn(60, ascii=False).splitlines()
    assert top[-1].endswith(f"{7200 + len(loud) / 2 / RATE:.1f} s")
    assert [column for column, char in enumerate(top[1][8:]) if char != " "] == [0, 51]


def test_nothing_and_what_cannot_be_decoded_are_not_drawn() -> None:
    picture = StreamPicture()
    assert picture.drawn(80, ascii=True) == ""
    hear(picture, bytes(320), encoding="audio/x-opus")
    assert picture.drawn(80, ascii=True) == ""


def test_a_rate_without_a_detector_is_drawn() -> None:
    picture = StreamPicture()
    picture.hear(AudioFrame(data=tone(11025), track="inbound", timestamp=0.0, sample_rate=11025))
    assert picture.drawn(40, ascii=True).splitlines()[-1].endswith("1.0 s")
