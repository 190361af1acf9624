"""The codec names of ``calling.stream``, and the audio format each stands for. Pure.

Grammar (as the vendor's specifications use it): ``BASE[@<n>h][@<n>i]``, ``h`` the sample rate in Hz and ``i`` the
packetization interval in ms, in any order. Names are case-insensitive.

The simulator's choices where the sources are silent: G.722 is labeled ``audio/G722`` and Opus ``audio/opus``, as the media
types are registered; the announced rate is the requested one, else that of the sound (16000 and 48000); a rate of 8000 for
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
# Accepted values; the first is the default.
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
    """How a stream's audio is coded and divided into frames.

    :ivar base: ``PCMU``, ``PCMA``, ``L16``, ``G722``, ``OPUS``, or another name.
    :ivar rate: samples per second.
    :ivar ptime: milliseconds per frame.
    :ivar clock: the announced rate, where it differs.
    """

    base: str
    rate: int = 8000
    ptime: int = 20
    clock: int | None = None

    @property
    def playable(self) -> bool:
        """Whether the simulator can send audio in it; G.722 and Opus also need the extra ``codecs``."""
        return self.base in _ENCODINGS

    @property
    def announced_rate(self) -> int:
        """``sampleRate`` in ``mediaFormat``."""
        return self.clock or self.rate

    @property
    def encoding(self) -> str:
        """The label in ``mediaFormat``, for playable formats."""
        return _ENCODINGS[self.base]

    @property
    def samples(self) -> int:
        """Samples per frame."""
        return self.rate * self.ptime // 1000


def parse_codec(text: str | None, ptime: int) -> Format:
    """Return the format that a ``codec`` parameter requests; ``PCMU``, the telephone network's own, by default.

    Well-formed unknown names are accepted, because the field is freeform. Names that are no codec of calls are refused.

    :param ptime: milliseconds per frame unless the text contains them.
    :raises ValueError: the text is malformed, or requests several channels or a rate or interval that the codec does not have.
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
            raise ValueError(f"codec has an unknown or repeated modifier: @{number}{letter}")
        given[letter.lower()] = int(number)
    if given.get("c", 1) != 1:
        raise ValueError("codec requests more than one channel; streams are mono")
    rates, intervals = _RATES.get(base, (8000,)), _INTERVALS.get(base, range(5, 201))
    rate, interval = given.get("h", rates[0]), given.get("i", ptime if ptime in intervals else 20)
    if base in _RATES and rate not in rates:
        raise ValueError(f"codec {base} has no rate of {rate} Hz; its rates are {', '.join(map(str, sorted(rates)))}")
    if not 5 <= interval <= 200:
        raise ValueError("codec requests an interval outside 5 to 200 ms")
    if interval not in intervals:
        raise ValueError(
            f"codec {base} has no interval of {interval} ms; its intervals are {', '.join(map(str, intervals))}"
        )
    sound = _SOUND.get(base, rate)
    return Format(base=base, rate=sound, ptime=interval, clock=rate if rate != sound else None)
