"""What bytes are that somebody takes for PCM: a file of another kind, or text. Pure.

Played as samples, each of them would be noise in the caller's ear, and nothing would say why.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["kind_of", "undecided"]

#: How files begin: an offset, the bytes there, and what that is. PCM begins like this once in four billion times or less.
_MAGIC: Final = (
    (0, b"OggS", "an Ogg file"),
    (0, b"ID3", "an MP3 file"),
    (0, b"fLaC", "a FLAC file"),
    (4, b"ftyp", "an MP4 or M4A file"),
    (0, b"\x1aE\xdf\xa3", "a WebM or Matroska file"),
    (0, b"FORM", "an AIFF file"),
    (0, b".snd", "an AU file"),
    (0, b"dns.", "an AU file"),
    (0, b"#!AMR", "an AMR file"),
    (0, b"#!SILK", "a SILK file"),
    (1, b"#!SILK", "a SILK file"),
    (0, b"caff", "a CAF file"),
    (0, b"RF64", "an RF64 file, a WAV for more than 4 GiB"),
    (0, b"BW64", "a BW64 file, a WAV for more than 4 GiB"),
    (0, b"RIFX", "a big-endian WAV file"),
    (0, b"riff.\x91\xcf\x11", "a Wave64 file"),
    (0, b"wvpk", "a WavPack file"),
    (0, b"MAC ", "a Monkey's Audio file"),
    (0, b"TTA1", "a TTA file"),
    (0, b"NIST_1A", "a NIST SPHERE file"),
    (0, b"MThd", "a MIDI file"),
    (0, b"FLV\x01", "an FLV file"),
    (0, b"0&\xb2u\x8ef\xcf\x11", "a WMA or ASF file"),
    (0, b"\x1f\x8b\x08", "data compressed with gzip"),
    (0, b"BZh", "data compressed with bzip2"),
    (0, b"\xfd7zXZ\0", "data compressed with xz"),
    (0, b"(\xb5/\xfd", "data compressed with Zstandard"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (0, b"%PDF-", "a PDF file"),
    (0, b"\x89PNG\r\n", "a PNG image"),
    (0, b"\xff\xd8\xff\xe0", "a JPEG image"),
    (0, b"\xff\xd8\xff\xe1", "a JPEG image"),
    (0, b"GIF8", "a GIF image"),
    (0, b"\x7fELF\x02", "a program"),
)
_RIFF: Final = {b"WAVE": "a WAV file", b"AVI ": "an AVI file", b"WEBP": "a WebP image"}
_LONGEST_MAGIC: Final = 12
#: Bytes that must all look like text before they count as text: samples may, for a while.
_TEXT: Final = 32
_TEXT_LOOK: Final = 512
_SHORTEST_TEXT: Final = 4
_VARIETY: Final = 4  # different characters
_FRAME_HEAD: Final = 7  # bytes of a frame that tell what it is and how long
_SYNC_LOOK: Final = 4096  # bytes in which frames are looked for that do not begin at the first byte
_CONTROL: Final = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f-\x9f\ufffd\uffff]")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]{4,}={0,2}")

_BIT_RATES: Final = {  # kbit/s by MPEG version 1 or not, and layer
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES: Final = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}


def kind_of(data: bytes) -> str | None:
    """What ``data`` is, as words that go on after "this is"; ``None`` for all that may be PCM."""
    return _file(data) or _words(data[:_TEXT_LOOK]) or _frames(data)


def undecided(data: bytes) -> bool:
    """Whether ``data``, the beginning of something longer, may turn out to be another kind once more of it is there."""
    if len(data) < _LONGEST_MAGIC:
        return True
    if len(data) < _TEXT and _words(data) is not None:
        return True
    frame = _frame(data, 0)
    return frame is not None and len(data) < frame[0] + _FRAME_HEAD


def _file(data: bytes) -> str | None:
    if data[:4] == b"RIFF" and data[8:12] in _RIFF:
        return _RIFF[data[8:12]]
    return next((name for offset, magic, name in _MAGIC if data.startswith(magic, offset)), None)


# -- text ----------------------------------------------------------------------------------------------------------------


def _words(data: bytes) -> str | None:
    """What kind of text it is."""
    text = _decoded(data)
    if text is None:
        return None
    begin = text.lstrip("\ufeff \t\r\n")
    lower = begin.lower()
    if lower.startswith("data:") and ("," in lower or "/" in lower):
        return "a data: URL"
    if lower.startswith(("http://", "https://", "ws://", "wss://", "file:")):
        return "a URL"
    if lower.startswith(("<!doctype html", "<html", "<head", "<body")):
        return "HTML"
    if lower.startswith(("<?xml", "<speak")):
        return "XML"
    if begin.startswith(("{", "[")):
        return "JSON"
    if begin.startswith(("UklGR", "SUQz", "//u", "//N", "//P", "T2dnUw", "ZkxhQ")) or _is_base64(begin):
        return "base64 text: decode it first"
    return "text"


def _is_base64(text: str) -> bool:
    """One long word with capitals, small letters and digits."""
    if len(text) < _TEXT or not _BASE64.fullmatch(text.replace("\n", "").replace("\r", "").rstrip()):
        return False
    return all(any(map(test, text)) for test in (str.isupper, str.islower, str.isdigit))


def _decoded(data: bytes) -> str | None:
    if len(data) < _SHORTEST_TEXT:
        return None
    codec = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8"
    try:
        text = data.decode(codec, "strict")
    except UnicodeDecodeError as error:
        if error.start < len(data) - 4:  # else a character that the end cut in two
            return None
        text = data[: error.start].decode(codec, "replace")
    if len(set(text)) < _VARIETY or _CONTROL.search(text) or not any(map(str.isalpha, text)):
        return None
    if codec == "utf-16" and sum(map(str.isascii, text)) < len(text) // 2:
        return None  # any two bytes are some character
    return text


# -- frames without a header in front ------------------------------------------------------------------------------------


def _frames(data: bytes) -> str | None:
    """MPEG audio or AAC as services of speech stream it: frame after frame, without a header of a file."""
    first = _frame(data, 0)
    if first is not None and (len(data) == first[0] or len(_chain(data, 0, 2)) == 2):
        return first[1][0]
    start = data.find(b"\xff", 1, _SYNC_LOOK)
    while start > 0:  # cut out of a stream somewhere
        chain = _chain(data, start, 4)
        if len(chain) == 4 and len(set(chain)) > 1:  # a tone repeats itself as well, but to the byte
            found = _frame(data, start)
            return found[1][0] if found else None
        start = data.find(b"\xff", start + 1, _SYNC_LOOK)
    return None


def _chain(data: bytes, start: int, count: int) -> list[bytes]:
    """At most so many frames of one kind that follow each other from ``start`` on."""
    frames: list[bytes] = []
    first = frame = _frame(data, start)
    while first is not None and frame is not None and frame[1] == first[1] and len(frames) < count:
        frames.append(data[start : start + frame[0]])
        start += frame[0]
        frame = _frame(data, start)
    return frames


def _frame(data: bytes, start: int) -> tuple[int, tuple[str, int, int]] | None:
    """The length of the frame that begins here, and what all frames of its stream have in common."""
    head = data[start : start + _FRAME_HEAD]
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    if head[1] & 0xF6 == 0xF0:
        return _aac(head)
    version, layer = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3)
    rate, bits, padding = head[2] >> 2 & 3, head[2] >> 4, head[2] >> 1 & 1
    if version not in _RATES or layer not in (2, 3) or rate == 3 or not 0 < bits < 15:
        return None
    kbits, hertz = _BIT_RATES[version == 3, layer][bits - 1], _RATES[version][rate]
    samples = 576 if layer == 3 and version != 3 else 1152
    return samples * kbits * 125 // hertz + padding, (f"an MP{layer} file", head[1], rate)


def _aac(head: bytes) -> tuple[int, tuple[str, int, int]] | None:
    """A frame of AAC with an ADTS header."""
    if len(head) < _FRAME_HEAD or head[2] >> 2 & 15 > 12:
        return None
    length = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    return (length, ("an AAC file", head[1], head[2] >> 2 & 15)) if length > 7 else None
