"""Codec names for ``calling.stream`` and the corresponding audio formats. This module does no I/O.

The vendor's specifications use names of the form ``BASE[@<n>h][@<n>i]``, where ``h`` is the sample rate in Hz and ``i`` is the
packet duration in milliseconds. The modifiers may appear in any order. Names are case-insensitive.

The following behavior is not documented by the vendor and was chosen for the simulator:

* G.722 is labeled ``audio/G722`` and Opus is labeled ``audio/opus``, which are the registered media types.
* The audio's sample rate is always 16000 Hz for G.722 and 48000 Hz for Opus. A rate in the codec name changes only the
  announced rate. For example, G.722's RTP clock rate is 8000 Hz.
* Each message contains one packet.
"""

from __future__ import annotations

import re

from attrs import frozen

from ...text.codec_names import advice

__all__ = ["Format", "parse_codec"]

_CODEC = re.compile(r"([A-Za-z0-9]+)((?:@[0-9]{1,6}[A-Za-z])*)")
_MODIFIER = re.compile(r"@([0-9]+)([A-Za-z])")

# Values of mediaFormat.encoding. Only those of PCMU and L16 are documented.
_ENCODINGS = {
    "PCMU": "audio/x-mulaw",
    "PCMA": "audio/x-alaw",
    "L16": "audio/x-L16",
    "G722": "audio/G722",
    "OPUS": "audio/opus",
}
# Accepted sample rates in Hz. The first is the default.
_RATES = {
    "PCMU": (8000,),
    "PCMA": (8000,),
    "L16": (8000, 16000, 24000),
    "G722": (16000, 8000),
    "OPUS": (48000, 24000, 16000, 12000, 8000),
}
_SOUND = {"G722": 16000, "OPUS": 48000}  # sample rate of the audio, independent of the announced rate
_INTERVALS = {"G722": range(20, 201, 20), "OPUS": (5, 10, 20, 40, 60, 80, 100, 120)}


@frozen(kw_only=True)
class Format:
    """A stream's audio format.

    :ivar base: ``PCMU``, ``PCMA``, ``L16``, ``G722``, ``OPUS``, or an unknown codec's name.
    :ivar rate: sample rate of the audio in Hz.
    :ivar ptime: frame duration in milliseconds.
    :ivar clock: announced sample rate in Hz, if it differs from ``rate``.
    """

    base: str
    rate: int = 8000
    ptime: int = 20
    clock: int | None = None

    @property
    def playable(self) -> bool:
        """Whether the simulator supports the codec. G.722 and Opus also need the ``codecs`` extra."""
        return self.base in _ENCODINGS

    @property
    def announced_rate(self) -> int:
        """Value of ``mediaFormat.sampleRate`` in Hz."""
        return self.clock or self.rate

    @property
    def encoding(self) -> str:
        """Value of ``mediaFormat.encoding``, defined only for playable formats."""
        return _ENCODINGS[self.base]

    @property
    def samples(self) -> int:
        """Number of samples per frame."""
        return self.rate * self.ptime // 1000


def parse_codec(text: str | None, ptime: int) -> Format:
    """Parse a ``codec`` parameter.

    Unknown names are accepted if they are well-formed, because the vendor defines the parameter as free text. Common misnomers
    for telephone codecs, such as ``MULAW``, are rejected.

    :param text: parameter value; ``None`` selects ``PCMU``.
    :param ptime: frame duration in milliseconds if the text does not specify one.
    :raises ValueError: the text is malformed, or requests multiple channels or an unsupported rate or interval.
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
