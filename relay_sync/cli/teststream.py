"""A call that is made to see whether its audio arrives here."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Final

from ..audio import AudioServer
from ..client.client import RelayClient
from ..errors import RelayError
from .checkup import Finding

__all__ = ["test_stream"]

#: Seconds that somebody has for picking up, and that are then listened to.
RINGS: Final = 30
LISTENS: Final = 3.0


def test_stream(client: RelayClient, arguments: argparse.Namespace, audio: AudioServer) -> Iterator[Finding]:
    """Dial a number, stream what is said there to a receiver of ours, and hang up.

    :param audio: the receiver, which is started before anybody is called, and closed at the end.
    """
    try:
        audio.start()
    except OSError as error:
        advice = "give another --port, or end what listens there"
        yield Finding("bad", "test stream", f"port {arguments.port}: {error.strerror or error}", advice)
        return
    with audio:
        yield from _called(client, arguments, audio)


def _called(client: RelayClient, arguments: argparse.Namespace, audio: AudioServer) -> Iterator[Finding]:
    try:
        call = client.dial(to=arguments.call, from_=arguments.from_, ring_timeout=RINGS)
    except RelayError as error:
        yield Finding("bad", "test call", error.message, "check both numbers, and that the project may call")
        return
    yield Finding("ok", "test call", f"{arguments.call} was answered")
    try:
        with audio.listen(call, timeout=arguments.timeout) as stream:
            pcm = stream.read(LISTENS, LISTENS + arguments.timeout)
            media, stats = stream.media_format, stream.stats
        seen = f"{len(pcm) / 2 / stream.sample_rate:.1f} s of {media.encoding} at {media.sample_rate} Hz came"
        if stats.gaps or stats.bad_frames:
            yield Finding("note", "test stream", f"{seen}, with {stats.gaps} gaps and {stats.bad_frames} bad frames")
        elif not pcm:
            yield Finding("bad", "test stream", "it ended before any audio came", "try again, and stay on the phone")
        else:
            yield Finding("ok", "test stream", seen)
    except RelayError as error:
        advice = "the platform must reach this machine: give --public-url wss://... of a proxy in front of --port"
        yield Finding("bad", "test stream", error.message, advice)
    finally:
        call.hangup()
