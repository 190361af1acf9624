"""Receive and play call audio in blocking programs, through ``call.stream()`` and two-way streams.

::

    with AudioServer(port=8765, public_url="wss://audio.example.com") as audio:
        with audio.listen(call, track="both") as stream:
            for frame in stream:
                transcribe(frame.pcm)
        stream.save("call.wav")

        with audio.connect(call) as stream:             # two-way
            stream.play("welcome.wav")

====================  ===========================================================================================================
``server``            :class:`AudioServer`, which accepts connections and delivers streams
``server_address``    the server's address and public URL, whose placeholders it fills in
``gate``              authorization of connections by path, bearer token and one-time token
``stream_handlers``   threads that run ``on_stream``
``connecting``        connecting calls to the server as two-way streams
``stream_wait``       waiting for a requested stream, with an error that explains why it did not arrive
``streamable``        the types of a call that can be streamed and of its options
``receiver``          converting messages to frames on the receiving thread
``messages``          JSON messages on media connections. ``outgoing`` contains the messages sent on two-way streams
``reorder``           optional frame reordering
``timeline``          detecting duplicate, missing and late frames
``stream_decoder``    decoding payloads to PCM, with a decoder for each track
``pcm_codecs``        G.711 and L16 codecs
``coders``            :func:`decoder_for` and :func:`encoder_for`, the common interface to all codecs. ``pyav`` contains G.722 and
                      Opus
``dsp``               :class:`Resampler` and numpy views
``diagnosis``         detecting likely mistakes, such as a wrong codec or a file header
``frames``            :class:`AudioFrame`, and the bounded buffer between the receiving thread and the program
``stream``            :class:`AudioStream`, for reading, iterating and saving. ``stream_core`` contains the part that the receiver
                      uses, ``stats`` contains the statistics, and ``totals`` sums them up for the server
``speaking``          playing audio on two-way streams. ``speaker`` sends it on the receiving thread
``playback``          playback progress. ``sources`` contains the types of audio that can be played
``stream_recording``  recording a stream. ``recorder`` manages the file, ``disk`` writes it, ``snapshot`` reads it, and
                      ``recording_files`` names and creates it
``wav``               reading and writing WAV files. ``user_files`` reads users' files and replaces them atomically.
                      ``file_kinds`` recognizes data that is not PCM
``waveform``          drawing audio in a terminal. ``picture`` shows a stream in a notebook
``speech``            utterances in a call's audio, and conversations; a package that is imported on demand
====================  ===========================================================================================================

The server needs the ``audio`` extra. In a checkout, install it with ``pip install -e ".[audio]"``. Codecs, messages and WAV files
work without it. G.722 and Opus need the ``codecs`` extra. Resampling and numpy views need the ``dsp`` extra.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .coders import Decoder, Encoder, decoder_for, encoder_for
    from .dsp import Resampler, resample
    from .frames import AudioFrame
    from .messages import MediaFormat
    from .pcm_codecs import BadPacket, Codec, codec_for
    from .playback import Playback, PlaybackResult
    from .server import AudioServer
    from .stats import AudioServerStats, StreamStats
    from .stream import AudioStream
    from .stream_core import DtmfEvent
    from .wav import WavAudio, read_wav, write_wav
    from .waveform import draw_waveform

__all__ = [
    "AudioFrame",
    "AudioServer",
    "AudioServerStats",
    "AudioStream",
    "BadPacket",
    "Codec",
    "Decoder",
    "DtmfEvent",
    "Encoder",
    "MediaFormat",
    "Playback",
    "PlaybackResult",
    "Resampler",
    "StreamStats",
    "WavAudio",
    "codec_for",
    "decoder_for",
    "draw_waveform",
    "encoder_for",
    "read_wav",
    "resample",
    "write_wav",
]

_HOMES = {
    "AudioFrame": "frames",
    "AudioServer": "server",
    "AudioServerStats": "stats",
    "AudioStream": "stream",
    "BadPacket": "pcm_codecs",
    "Codec": "pcm_codecs",
    "Decoder": "coders",
    "DtmfEvent": "stream_core",
    "Encoder": "coders",
    "PlaybackResult": "playback",
    "MediaFormat": "messages",
    "Playback": "playback",
    "Resampler": "dsp",
    "StreamStats": "stats",
    "WavAudio": "wav",
    "codec_for": "pcm_codecs",
    "decoder_for": "coders",
    "encoder_for": "coders",
    "read_wav": "wav",
    "resample": "dsp",
    "draw_waveform": "waveform",
    "write_wav": "wav",
}


if not TYPE_CHECKING:  # otherwise type checkers accept any name

    def __getattr__(name: str) -> object:
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(f"{__name__}.{home}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
