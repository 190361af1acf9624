"""The codec names of ``calling.stream``, and the audio format each stands for. Pure.

Grammar (as the vendor's specifications use it): ``BASE[@<n>h][@<n>i]``, ``h`` the sample rate in Hz and ``i`` the
packetisation interval in ms, in any order. Names are taken in any case.
"""

from __future__ import annotations

import re

from attrs import frozen

__all__ = ["Format", "parse_codec"]

_CODEC = re.compile(r"([A-Za-z0-9]+)((?:@[0-9]{1,6}[A-Za-z])*)")
_MODIFIER = re.compile(r"@([0-9]+)([A-Za-z])")

# The labels of mediaFormat.encoding. That of PCMA is undocumented and follows the pattern of the other.
_ENCODINGS = {"PCMU": "audio/x-mulaw", "PCMA": "audio/x-alaw", "L16": "audio/x-L16"}
_RATES = {"PCMU": (8000,), "PCMA": (8000,), "L16": (8000, 16000, 24000)}


@frozen(kw_only=True)
class Format:
    """How a stream's audio is coded and cut.

    :ivar base: ``PCMU``, ``PCMA``, ``L16``, or another name. :ivar rate: samples per second. :ivar ptime:
        milliseconds per frame.
    """

    base: str
    rate: int = 8000
    ptime: int = 20

    @property
    def playable(self) -> bool:
        """Whether the simulator can send audio in it."""
        return self.base in _ENCODINGS

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

    A well-formed name that is not known passes: the field is freeform.

    :param ptime: milliseconds per frame unless the text says otherwise.
    :raises ValueError: it is not well-formed, or asks for more than one channel or a rate that the codec does not
        have.
    """
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
    rate, interval = given.get("h", 8000), given.get("i", ptime)
    if base in _RATES and rate not in _RATES[base]:
        raise ValueError(f"codec {base} has no rate of {rate} Hz; it has {', '.join(map(str, _RATES[base]))}")
    if not 5 <= interval <= 200:
        raise ValueError("codec asks for an interval outside 5 to 200 ms")
    return Format(base=base, rate=rate, ptime=interval)
