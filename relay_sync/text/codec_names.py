"""Names that are often mistaken for codecs, such as containers, file formats and names from other programs."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["advice", "right_names"]

#: The common codecs. The server accepts others as well.
USUAL: Final = ("PCMU", "PCMA", "OPUS", "L16", "G722")
#: The codecs that a name probably refers to. Only its letters and digits are compared.
_WORDS: Final[dict[tuple[str, ...], str]] = {
    ("PCMU",): "MULAW ULAW MLAW PCMMULAW PCMULAW PCMMLAW G711U G711MU G711ULAW G711MULAW BASIC",
    ("PCMA",): "ALAW PCMALAW G711A G711ALAW",
    ("PCMU", "PCMA"): "G711",
    ("L16",): """
        PCM LPCM RAWPCM PCMRAW RAW LINEAR LINEARPCM PCMLINEAR SLIN SLINEAR SIGNEDLINEAR INT16 SINT16 SIGNED16 S16 S16LE S16BE
        PCMS16 PCMS16LE PCMS16BE PCM16LE PCM16BE PCMLE PCMBE PCM16BIT F32 F32LE FLOAT FLOAT32 PCMF32 PCMF32LE
        WAV WAVE RIFF AIFF AIF AU SND CAF""",
    ("PCMU", "OPUS"): """
        MP1 MP2 MP3 MPEG MPEG1 MPEG2 MPEG3 MPEGAUDIO MPGA MPA MP4 MPEG4 M4A M4B AAC AACLC HEAAC HEAACV2 ADTS ALAC FLAC
        OGG OGA VORBIS OGGVORBIS WEBM WEBA MKA MKV MATROSKA WMA ASF AC3 EAC3 APE WAVPACK""",
    ("OPUS",): "OGGOPUS OPUSOGG WEBMOPUS OPUSWEBM LIBOPUS",
}
_MEANT: Final = {word: names for names, words in _WORDS.items() for word in words.split()}
#: A sample rate or width after a name, as in ``ulaw_8000``, ``slin16`` and ``pcm-24khz``.
_SIZE: Final = r"(8000|11025|16000|22050|24000|32000|44100|48000|8|12|16|24|32|44|48|96|192)(K|HZ|KHZ|BIT)?$"


def right_names(text: str) -> tuple[str, ...]:
    """Return the codecs that an incorrect name probably refers to, or an empty tuple if the name may be a codec."""
    head = text.strip().upper().replace("\N{GREEK CAPITAL LETTER MU}", "MU").replace("\N{MICRO SIGN}", "MU")
    head = re.split("[@;/]", head.removeprefix("AUDIO/"))[0].removeprefix("X-").removeprefix(".")
    word = re.sub("[^A-Z0-9]", "", head)
    if word in USUAL:
        # A known codec in a different notation, such as G.722 or audio/PCMU;rate=8000.
        return () if "@" in text or text.isalnum() else (word,)
    return _MEANT.get(word) or _MEANT.get(re.sub(_SIZE, "", word), ())


def advice(text: str, accepted: tuple[str, ...] = USUAL) -> str:
    """Return a suggestion for an incorrect codec name, such as ``'PCMU' ('MULAW' is ...)``, or ``""`` if there is none.

    :param text: name to check.
    :param accepted: names that may be suggested.
    """
    names = [repr(name) for name in right_names(text) if name in accepted]
    what = " for uncompressed 16-bit samples" if names == ["'L16'"] else ""
    return f"{' or '.join(names)}{what} ({text!r} is not a codec of telephone calls)" if names else ""
