"""Call audio for blocking programs: the receiver for ``call.stream()`` and for two-way streams.

::

    with AudioServer(port=8765, public_url="wss://audio.example.com") as audio:
        with audio.listen(call, track="both") as stream:
            for frame in stream:
                transcribe(frame.pcm)
        stream.save("call.wav")

        with audio.connect(call) as stream:             # two-way
            stream.play("welcome.wav")

====================  ===========================================================================================================
``server``            :class:`AudioServer`: listens, authorizes connections, delivers streams
``server_address``    the address at which it is reached
``gate``              path, bearer token, one-time tokens
``stream_handlers``   the threads that run ``on_stream``
``connecting``        two-way streams: connecting calls to the server
``stream_wait``       waiting for a requested stream, and why it did not arrive
``receiver``          turns messages into frames, on the receiving thread
``messages``          reads and writes the JSON messages of media sockets. ``outgoing``: messages sent on two-way streams
``reorder``           puts frames back in order, on request
``timeline``          duplicates, gaps and late frames
``stream_decoder``    turns payloads into PCM: a decoder for each track
``pcm_codecs``        G.711 and L16
``coders``            :func:`decoder_for`, :func:`encoder_for`: a common interface to all codecs. ``pyav``: G.722 and Opus,
                      through the extra ``codecs``
``dsp``               :class:`Resampler`, numpy views; through the extra ``dsp``
``diagnosis``         the likely cause when a stream sounds wrong
``frames``            :class:`AudioFrame`, and the bounded buffer between the receiving thread and the program
``waking``            wakes reading threads, one after another
``stream``            :class:`AudioStream`: one call's audio; iterate, read, save. ``stream_core``: the part that the
                      receiving side uses. ``stats``: statistics
``speaking``          playing audio on two-way streams. ``speaker`` sends it, on the receiving thread
``playback``          how much of it was heard. ``sources``: the kinds of audio that can be played
``stream_recording``  the recording of a stream, fed by the receiver. ``recorder``: its file, valid while it grows. ``disk``: the
                      thread that writes. ``snapshot``: reads it. ``recording_files``: names and creates files
``wav``               reads and writes WAV files. ``user_files``: writes users' files, replacing them when complete.
                      ``file_kinds``: recognizes files mistaken for PCM
``waveform``          draws audio in a terminal. ``picture``: player, waveform and statistics for a notebook
====================  ===========================================================================================================

Needs the extra ``audio``, in a checkout ``pip install -e ".[audio]"``; codecs, messages and WAV files work without it. G.722 and
Opus need the extra ``codecs``, resampling and numpy views the extra ``dsp``.
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
    from .stats import StreamStats
    from .stream import AudioStream
    from .stream_core import DtmfEvent
    from .wav import WavAudio, read_wav, write_wav
    from .waveform import draw_waveform

__all__ = [
    "AudioFrame",
    "AudioServer",
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


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
