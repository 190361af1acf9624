"""The codec names of ``calling.stream``, and the audio format each stands for. Pure.

Grammar (as the vendor's specifications use it): ``BASE[@<n>h][@<n>i]``, ``h`` the sample rate in Hz and ``i`` the
packetisation interval in ms, in any order. Names are taken in any case.

The simulator's choices where the sources are silent: G.722 is labelled ``audio/G722`` and Opus ``audio/opus``, as the media
types are registered; the rate announced is the one asked for, else that of the sound (16000 and 48000); a rate of 8000 for
G.722 is its RTP clock and changes only what is announced, as any rate of Opus does. One message holds one packet.
"""

from __future__ import annotations

import re

from attrs import frozen

from ...text.codec_names import advice

__all__ = ["Format", "parse_codec"]

_CODEC = re.compile(r"([A-Za-z0-9]+)((?:@[0-9]{1,6}[A-Za-z])*)")
_MODIFIER = re.compile(r"@([0-9]+)([A-Za-z])")

# The labels of mediaFormat.encoding; documented are those of PCMU and L16.
_ENCODINGS = {
    "PCMU": "audio/x-mulaw",
    "PCMA": "audio/x-alaw",
    "L16": "audio/x-L16",
    "G722": "audio/G722",
    "OPUS": "audio/opus",
}
# What may be asked for; the first is meant where nothing is said.
_RATES = {
    "PCMU": (8000,),
    "PCMA": (8000,),
    "L16": (8000, 16000, 24000),
    "G722": (16000, 8000),
    "OPUS": (48000, 24000, 16000, 12000, 8000),
}
_SOUND = {"G722": 16000, "OPUS": 48000}  # the rate of the samples, whatever is announced
_INTERVALS = {"G722": range(20, 201, 20), "OPUS": (5, 10, 20, 40, 60, 80, 100, 120)}


@frozen(kw_only=True)
class Format:
    """How a stream's audio is coded and cut.

    :ivar base: ``PCMU``, ``PCMA``, ``L16``, ``G722``, ``OPUS``, or another name. :ivar rate: samples per second.
    :ivar ptime: milliseconds per frame. :ivar clock: what is announced as the rate, where that is another.
    """

    base: str
    rate: int = 8000
    ptime: int = 20
    clock: int | None = None

    @property
    def playable(self) -> bool:
        """Whether the simulator can send audio in it; G.722 and Opus need the extra ``codecs`` besides."""
        return self.base in _ENCODINGS

    @property
    def announced_rate(self) -> int:
        """``sampleRate`` in ``mediaFormat``."""
        return self.clock or self.rate

    @property
    def encoding(self) -> str:
        """The label in ``mediaFormat``; only for what is playable."""
        return _ENCODINGS[self.base]

    @property
    def samples(self) -> int:
        """Samples per frame."""
        return self.rate * self.ptime // 1000


def parse_codec(text: str | None, ptime: int) -> Format:
    """The format that a ``codec`` parameter asks for; ``PCMU``, the telephone network's own, where there is none.

    A well-formed name that is not known passes: the field is freeform. A word that names no codec of calls does not.

    :param ptime: milliseconds per frame unless the text says otherwise.
    :raises ValueError: it is not well-formed, or asks for more than one channel or for a rate or an interval that the
        codec does not have.
    """
    meant = advice(text or "")
    if meant:
        raise ValueError(f"codec must be {meant}")
    match = _CODEC.fullmatch(text if text is not None else "PCMU")
    if match is None:
        raise ValueError("codec must be a name with modifiers such as PCMU, L16@16000h or PCMU@40i")
    base, given = match[1].upper(), {}
    for number, letter in _MODIFIER.findall(match[2]):
        if letter.lower() not in "hic" or letter.lower() in given:
            raise ValueError(f"codec has a modifier that is unknown or repeated: @{number}{letter}")
        given[letter.lower()] = int(number)
    if given.get("c", 1) != 1:
        raise ValueError("codec asks for more than one channel; streams are mono")
    rates, intervals = _RATES.get(base, (8000,)), _INTERVALS.get(base, range(5, 201))
    rate, interval = given.get("h", rates[0]), given.get("i", ptime if ptime in intervals else 20)
    if base in _RATES and rate not in rates:
        raise ValueError(f"codec {base} has no rate of {rate} Hz; it has {', '.join(map(str, sorted(rates)))}")
    if not 5 <= interval <= 200:
        raise ValueError("codec asks for an interval outside 5 to 200 ms")
    if interval not in intervals:
        raise ValueError(f"codec {base} has no interval of {interval} ms; it has {', '.join(map(str, intervals))}")
    sound = _SOUND.get(base, rate)
    return Format(base=base, rate=sound, ptime=interval, clock=rate if rate != sound else None)
