"""Recognize data that is not PCM, such as audio files in other formats and text.

If such data were played as PCM, the remote party would hear noise, and no error would explain why. This module does no I/O.
"""

from __future__ import annotations

import re
import sys
from array import array
from math import isfinite
from typing import Final

__all__ = ["WAV_HEAD", "kind_of", "no_samples", "undecided"]

#: Signatures of file formats: offset, bytes and description. PCM rarely starts with one of them by chance.
_MAGIC: Final = (
    (0, b"OggS", "an Ogg file"),
    (0, b"ID3", "an MP3 file"),
    (0, b"fLaC", "a FLAC file"),
    *(
        (4, box, "an MP4 or M4A file")
        for box in (b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"free", b"skip", b"wide")
    ),
    (0, b"\x1aE\xdf\xa3", "a WebM or Matroska file"),
    (0, b"\0\0\x01\xba", "an MPEG program stream"),
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
    (0, b"NUTM", "a NUT file"),
    (0, b"nut/multimedia", "a NUT file"),
    (0, b".RMF", "a RealMedia file"),
    (0, b".ra\xfd", "a RealAudio file"),
    (0, b"Creative Voice File", "a VOC file"),
    (0, b".SoX", "a SoX file"),
    (0, b"XoS.", "a SoX file"),
    (0, b"MPCK", "a Musepack file"),
    (0, b"MP+\x07", "a Musepack file"),
    (0, b"ADIF", "an AAC file"),
    (0, b"DSD ", "a DSD file"),
    (0, b"FRM8", "a DSD file"),
    (0, b"MMMD", "an MMF file"),
    (0, b"#!EVRC", "an EVRC file"),
    (0, b"OpusHead", "Opus without its Ogg file"),
    (0, b"MThd", "a MIDI file"),
    (0, b"\x93NUMPY", "a NumPy file: load it, and give its samples as 16-bit PCM"),
    (0, b"FLV\x01", "an FLV file"),
    (0, b"0&\xb2u\x8ef\xcf\x11", "a WMA or ASF file"),
    (0, b"\x1f\x8b\x08", "data compressed with gzip"),
    (0, b"BZh", "data compressed with bzip2"),
    (0, b"\xfd7zXZ\0", "data compressed with xz"),
    (0, b"(\xb5/\xfd", "data compressed with Zstandard"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (0, b"Rar!", "a RAR archive"),
    (257, b"ustar", "a tar archive"),
    (0, b'\x04"M\x18', "data compressed with LZ4"),
    (0, b"%PDF-", "a PDF file"),
    (0, b"SQLite format 3", "an SQLite database"),
    (0, b"\x89PNG\r\n", "a PNG image"),
    (0, b"\xff\xd8\xff\xe0", "a JPEG image"),
    (0, b"\xff\xd8\xff\xe1", "a JPEG image"),
    (0, b"\xff\xd8\xff\xdb", "a JPEG image"),
    (0, b"II*\0", "a TIFF image"),
    (0, b"MM\0*", "a TIFF image"),
    (0, b"GIF8", "a GIF image"),
    (0, b"\x7fELF", "a program"),
    (0, b"MZ\x90\0", "a program"),
    (0, b"\0asm", "a program"),
)
_RIFF: Final = {b"WAVE": "a WAV file", b"AVI ": "an AVI file", b"WEBP": "a WebP image"}
_LONGEST_MAGIC: Final = 12
_FORM: Final = re.compile(rb"[A-Za-z0-9]{3}[A-Za-z0-9 ]")  # form type of a RIFF file
#: The start of a WAV file, for searching inside other data.
WAV_HEAD: Final = re.compile(rb"RIFF.{4}WAVE(?:fmt |JUNK|bext|LIST|fact)", re.DOTALL)
_PICKLE: Final = re.compile(rb"\x80[\4\5]\x95.{4}\0{4}", re.DOTALL)
_PACKET: Final = 188  # size of an MPEG transport stream packet in bytes
#: Number of bytes needed to recognize text reliably. A few samples can look like text by chance.
_TEXT: Final = 32
_TEXT_LOOK: Final = 512  # bytes checked for text
_TEXT_BEGINNING: Final = 96  # bytes checked next: text such as message headers may precede binary data
_SHORTEST_TEXT: Final = 4  # bytes
_VARIETY: Final = 4  # minimum number of distinct characters
_FLOATS: Final = 24  # minimum number of distinct values
_FLOAT_LOOK: Final = 4096  # bytes checked for floating-point samples
#: Type code, bits per sample, and minimum ratio between the largest and the smallest magnitude. The ratio excludes PCM that
#: repeats the same few samples, such as a tone whose frequency divides the sample rate.
_FLOAT_SPANS: Final = (("f", 32, 16), ("d", 64, 256))
_FRAME_HEAD: Final = 7  # bytes needed to determine the format and the length of a frame
_SYNC: Final = re.compile(rb"\xff(?=[\xe0-\xff])")
_SYNC_LOOK: Final = 4096  # bytes searched for the first frame if the data starts in the middle of one
_CONTROL: Final = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f-\x9f\ufffd\uffff]")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]{4,}={0,2}")
_PADDED: Final = re.compile(rb"(?:[A-Za-z0-9+/_-]{4})+(?:[A-Za-z0-9+/_-]{2}==|[A-Za-z0-9+/_-]{3}=)")
_SENTENCE: Final = re.compile(
    r"[A-Za-z]+(?:[.,:;!?'\"()-]*[ \r\n]+[\"'(]*[A-Za-z0-9]+)+[.,:;!?'\"()-]*[ \r\n]*[A-Za-z]*"
)
_UTF16: Final = (b"\xff\xfe", b"\xfe\xff")
_UTF32: Final = (b"\xff\xfe\0\0", b"\0\0\xfe\xff")
_SHORT_JSON: Final = (b"{}", b"[]", b'""', b"null")
_LETTERS: Final = 0.7  # minimum share of letters in single-byte text; a quiet negative signal reaches about half

_BIT_RATES: Final = {  # kbit/s by (is MPEG version 1, layer)
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_AC3_BIT_RATES: Final = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640)
_RATES: Final = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}


def kind_of(data: bytes) -> str | None:
    """Return a description of data that is not PCM, such as "an MP3 file", or ``None`` if it may be PCM."""
    return _file(data) or _words(data) or _frames(data)


def no_samples(data: bytes) -> str | None:
    """Return a description of data that is not 16-bit PCM, or ``None`` if it may be 16-bit PCM.

    In addition to :func:`kind_of`, this function recognizes floating-point samples and PCM that is followed by a WAV file.
    """
    return kind_of(data) or ("PCM with a WAV file behind it" if WAV_HEAD.search(data) else _floats(data))


def undecided(data: bytes) -> bool:
    """Return whether ``data``, the start of a longer input, is too short to recognize its format."""
    if len(data) < _LONGEST_MAGIC:
        return True
    if len(data) < _TEXT and _printable(data) is not None:
        return True
    if _begins_transport(data) and len(data) <= _PACKET:
        return True
    frame = _frame(data, 0)
    return frame is not None and len(data) < frame[0] + _FRAME_HEAD


def _file(data: bytes) -> str | None:
    if data[:4] == b"RIFF" and _FORM.fullmatch(data[8:12]):
        return _RIFF.get(data[8:12], f"a RIFF file ({data[8:12].decode().strip()})")
    if _begins_transport(data) and data[_PACKET : _PACKET + 1] == b"G":
        return "an MPEG transport stream"
    if _PICKLE.match(data):
        return "a pickled object of Python"
    return next((name for offset, magic, name in _MAGIC if data.startswith(magic, offset)), None)


def _begins_transport(data: bytes) -> bool:
    """Return whether the data starts like an MPEG transport stream, with a program or service table."""
    return data[:1] == b"G" and data[1:3] in (b"\x40\0", b"\x40\x11") and 0x10 <= data[3] < 0x40


# -- floating-point samples ----------------------------------------------------------------------------------------------


def _floats(data: bytes) -> str | None:
    """Return a description of floating-point samples, or ``None`` if the data is something else.

    Speech models and NumPy produce 32-bit or 64-bit floats between -1 and 1. If such data were 16-bit PCM, every second or
    fourth sample would be very loud.
    """
    for code, bits, span in _FLOAT_SPANS:
        size = bits // 8
        numbers = array(code, data[: min(_FLOAT_LOOK, len(data)) // size * size])
        if sys.byteorder == "big":
            numbers.byteswap()
        different = {number for number in numbers if number}
        if len(different) < _FLOATS or not all(map(isfinite, different)):
            continue
        quietest, loudest = min(map(abs, different)), max(map(abs, different))
        if 2**-40 < quietest < loudest / span < 1.5 / span and min(different) < 0 < max(different):
            return f"{bits}-bit floating point: convert it to 16-bit PCM first"
    return None


# -- text ----------------------------------------------------------------------------------------------------------------


def _words(data: bytes) -> str | None:
    """Return a description of the text, or ``None`` if the data is not text."""
    if data in _SHORT_JSON:
        return "JSON"
    if len(data) >= _TEXT and data[-1:] == b"=" and _PADDED.fullmatch(data):  # even a single letter, for silence
        return "base64 text: decode it first"
    text = _decoded(data[:_TEXT_LOOK]) or _decoded(data[:_TEXT_BEGINNING])
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
    """Return whether the text is a long base64 string with uppercase letters, lowercase letters and digits."""
    if len(text) < _TEXT or not _BASE64.fullmatch(text.replace("\n", "").replace("\r", "").rstrip()):
        return False
    return all(any(map(test, text)) for test in (str.isupper, str.islower, str.isdigit))


def _decoded(data: bytes) -> str | None:
    """Return the decoded text, or ``None`` if the bytes are not text or may be samples."""
    text = _printable(data)
    if text is None:
        return _in_one_byte(data) or _in_two_bytes(data)
    worded = len(data) >= _TEXT or any(map(str.isalpha, text)) or (text[0] == "[" and text[-1] == "]")
    if len(data) < _SHORTEST_TEXT or len(set(text)) < _VARIETY or not worded:
        return None
    if len(data) >= _TEXT and data[:2] not in _UTF16 and len(set(data[1::2])) <= _VARIETY:
        return None  # may be a tone at half or a quarter of the sample rate
    if data[:2] in _UTF16 and sum(map(str.isascii, text)) < len(text) // 2:
        return None  # almost any two bytes are a valid UTF-16 character
    return text


def _printable(data: bytes) -> str | None:
    """Return the decoded text, or ``None`` if it is not Unicode or contains control characters."""
    codec = "utf-32" if data[:4] in _UTF32 else "utf-16" if data[:2] in _UTF16 else "utf-8"
    try:
        text = data.decode(codec, "strict")
    except UnicodeDecodeError as error:
        if error.start < len(data) - 4:  # otherwise the last character is just incomplete
            return None
        text = data[: error.start].decode(codec, "replace")
    return None if not text or _CONTROL.search(text) else text


def _in_one_byte(data: bytes) -> str | None:
    """Decode text in a single-byte Western encoding, or return ``None``. Most characters must be ASCII letters or spaces."""
    if len(data) < _TEXT:
        return None
    text = data.decode("cp1252", "replace")
    letters = sum(each.isascii() and (each.isalpha() or each == " ") for each in text)
    good = letters >= _LETTERS * len(text) and len(set(text)) > _VARIETY
    return text if good and not _CONTROL.search(text) else None


def _in_two_bytes(data: bytes) -> str | None:
    """Decode words in UTF-16 without a byte order mark, or return ``None``.

    A quiet signal can contain similar bytes, but no spaces between words.
    """
    for first in (0, 1):
        text = data[first::2].decode("latin-1")
        if len(data) >= 2 * _TEXT and not any(data[1 - first :: 2]) and _SENTENCE.fullmatch(text):
            return text
    return None


# -- frames without a file header ----------------------------------------------------------------------------------------


def _frames(data: bytes) -> str | None:
    """Return a description of encoded audio frames without a file header, or ``None`` if the data is something else.

    Speech services stream MPEG audio and AAC in this form.
    """
    first = _frame(data, 0)
    if (
        first is not None
        and (len(data) == first[0] or len(_chain(data, 0, 2)) == 2)
        and not _repeats(data, 0, first[0])
    ):
        return first[1][0]
    for sync in _SYNC.finditer(data, 1, _SYNC_LOOK + 1):  # the data may start in the middle of a frame
        start = sync.start()
        frame = _frame(data, start)
        if frame is None:
            continue
        chain = _chain(data, start, 4)
        if len(chain) == 4 and len(set(chain)) > 1 and not _repeats(data, start, frame[0]):
            return frame[1][0]
    return None


def _repeats(data: bytes, start: int, size: int) -> bool:
    """Return whether a frame's first two bytes recur within the frame, as in the PCM of a tone."""
    return data.find(data[start : start + 2], start + 2, start + size) >= 0


def _chain(data: bytes, start: int, count: int) -> list[bytes]:
    """Return up to ``count`` consecutive frames of the same format, starting at ``start``."""
    frames: list[bytes] = []
    first = frame = _frame(data, start)
    while first is not None and frame is not None and frame[1] == first[1] and len(frames) < count:
        frames.append(data[start : start + frame[0]])
        start += frame[0]
        frame = _frame(data, start)
    return frames


def _frame(data: bytes, start: int) -> tuple[int, tuple[str, int, int]] | None:
    """Parse the frame at ``start``.

    :return: the frame length and the header fields shared by all frames of the stream; ``None`` if there is no valid frame.
    """
    head = data[start : start + _FRAME_HEAD]
    if len(head) >= 4 and head[0] == 0x56 and head[1] & 0xE0 == 0xE0:  # LOAS
        return ((head[1] & 0x1F) << 8 | head[2]) + 3, ("an AAC file", 0, 0)
    if head[:2] == b"\x0bw":
        return _ac3(head)
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
    """Parse an AAC frame with an ADTS header, like :func:`_frame`."""
    if len(head) < _FRAME_HEAD or head[2] >> 2 & 15 > 12:
        return None
    length = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    return (length, ("an AAC file", head[1], head[2] >> 2 & 15)) if length > 7 else None


def _ac3(head: bytes) -> tuple[int, tuple[str, int, int]] | None:
    """Parse an AC-3 or E-AC-3 frame, like :func:`_frame`."""
    if len(head) < _FRAME_HEAD:
        return None
    rate, code, version = head[4] >> 6, head[4] & 0x3F, head[5] >> 3
    if 10 < version <= 16:
        return 2 * (((head[2] & 7) << 8 | head[3]) + 1), ("an E-AC-3 file", rate, 0)
    if version > 10 or rate == 3 or code >= 2 * len(_AC3_BIT_RATES):
        return None
    kbits = _AC3_BIT_RATES[code // 2]
    return (4 * kbits, 2 * (320 * kbits // 147 + code % 2), 6 * kbits)[rate], ("an AC-3 file", rate, 0)
