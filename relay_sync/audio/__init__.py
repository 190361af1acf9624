"""Hear the call: the receiving end of ``call.stream()``, for blocking programs.

::

    with AudioServer(port=8765, public_url="wss://audio.example.com") as audio:
        with audio.listen(call, track="both") as stream:
            for frame in stream:
                transcribe(frame.pcm)
        stream.save("call.wav")

        with audio.connect(call) as stream:             # two-way
            stream.play("welcome.wav")

====================  ===========================================================================================================
``server``            :class:`AudioServer`: listens, checks who comes, hands out streams
``server_address``    where it is reached
``gate``              path, bearer token, one-time tokens
``stream_handlers``   the threads in which ``on_stream`` runs
``connecting``        two-way streams: calls that are connected to here
``stream_wait``       waiting for a stream that was asked for, and why it did not come
``receiver``          from messages to frames, on the receiving thread
``messages``          the JSON of media sockets, read and written; pure. ``outgoing``: what goes back on two-way streams; pure
``reorder``           frames put back in order, on request; pure
``timeline``          duplicates, holes and late frames; pure
``stream_decoder``    from payloads to PCM: a decoder for each track
``pcm_codecs``        G.711 and L16; pure
``coders``            :func:`decoder_for`, :func:`encoder_for`: every codec with one face. ``pyav``: G.722 and Opus, through the
                      extra ``codecs``
``dsp``               :class:`Resampler`, numpy views; through the extra ``dsp``
``diagnosis``         what is probably wrong with a stream that sounds wrong
``frames``            :class:`AudioFrame`, and the bounded buffer between the receiving thread and the program
``waking``            wakes the threads that read, one after the other
``stream``            :class:`AudioStream`: one call's audio; iterate, read, save. ``stream_core``: the part of it that the
                      receiving side works with. ``stats``: its numbers
``speaking``          what can be said on two-way streams. ``speaker`` sends it, on the receiving thread
``playback``          how much of it was heard. ``sources``: what can be played
``stream_recording``  what is kept of a stream, as the receiver feeds it. ``recorder``: its file, valid while it grows. ``disk``:
                      the thread that writes. ``snapshot``: reading it. ``recording_files``: how files are named and made
``wav``               reading and writing WAV files. ``user_files``: of the user's, replaced when complete.
                      ``file_kinds``: files mistaken for PCM
``waveform``          sound drawn in a terminal. ``picture``: player, waveform and numbers for a notebook
====================  ===========================================================================================================

Needs the extra ``audio``, in a checkout ``pip install -e ".[audio]"``; codecs, messages and WAV files work without. G.722 and
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
