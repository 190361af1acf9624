"""Test call made by ``relay-sync doctor`` to check that call audio arrives."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Final

from ..audio import AudioServer
from ..audio.diagnosis import is_silent
from ..client.client import RelayClient
from ..errors import RelayError
from ..hosts.listening import PortInUse, explained
from .checkup import Finding

__all__ = ["test_stream"]

#: Time to wait for an answer, in seconds.
RINGS: Final = 30
#: Length of audio to receive, in seconds.
LISTENS: Final = 3.0


def test_stream(client: RelayClient, arguments: argparse.Namespace, audio: AudioServer) -> Iterator[Finding]:
    """Dial a number, stream the callee's audio to this machine, and hang up.

    :param client: connected client.
    :param arguments: options of ``relay-sync doctor``.
    :param audio: the receiver. It is started before the call and closed after it.
    """
    try:
        audio.start()
    except OSError as error:
        advice = "pass another --port, or stop the program that listens on this one"
        why = explained(error, error.where) if isinstance(error, PortInUse) else error
        yield Finding("bad", "test stream", f"port {arguments.port}: {why.strerror or why}", advice)
        return
    with audio:
        yield from _called(client, arguments, audio)


def _called(client: RelayClient, arguments: argparse.Namespace, audio: AudioServer) -> Iterator[Finding]:
    try:
        call = client.dial(to=arguments.call, from_=arguments.from_, ring_timeout=RINGS)
    except RelayError as error:
        yield Finding("bad", "test call", error.message, "check both numbers, and that the project may place calls")
        return
    yield Finding("ok", "test call", f"{arguments.call} was answered")
    try:
        with audio.listen(call, timeout=arguments.timeout) as stream:
            pcm = stream.read(LISTENS, LISTENS + arguments.timeout)
            media, stats = stream.media_format, stream.stats
        seen = f"{len(pcm) / 2 / stream.sample_rate:.1f} s of {media.encoding} at {media.sample_rate} Hz received"
        if pcm and is_silent(pcm):
            advice = "run it again, speak during the call, and check that the phone is not muted"
            yield Finding("bad", "test stream", f"{seen}, but only silence", advice)
        elif stats.gaps or stats.bad_frames:
            yield Finding("note", "test stream", f"{seen}, with {stats.gaps} gaps and {stats.bad_frames} bad frames")
        elif not pcm:
            yield Finding("bad", "test stream", "it ended before any audio arrived", "run it again, and do not hang up")
        else:
            yield Finding("ok", "test stream", seen)
    except RelayError as error:
        advice = "the platform must reach this machine: pass --public-url wss://... of a proxy in front of --port"
        yield Finding("bad", "test stream", error.message, advice)
    finally:
        call.hangup()
