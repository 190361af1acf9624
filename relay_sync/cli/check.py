"""Compare a recording with the sent audio."""

from __future__ import annotations

from collections.abc import Mapping

from ..audio import WavAudio

__all__ = ["differences"]


def differences(recorded: WavAudio, sent: Mapping[str, bytes]) -> list[str]:
    """Describe the differences between a recording and the sent audio, sample by sample.

    :param recorded: the recording.
    :param sent: sent audio for each track, as 16-bit PCM. The tracks are in channel order.
    :return: descriptions of the differences. The list is empty if the audio is identical.
    """
    if recorded.channels != len(sent):
        return [f"the file has {recorded.channels} channels, but {len(sent)} tracks were sent"]
    found = []
    for channel, (track, pcm) in enumerate(sent.items()):
        heard = recorded.channel(channel)
        if not pcm:
            found.append(f"{track}: nothing was sent")
        elif len(heard) != len(pcm):
            found.append(f"{track}: {len(heard) // 2} samples were saved, but {len(pcm) // 2} were sent")
        elif heard != pcm:
            first = next(index for index, (one, other) in enumerate(zip(heard, pcm, strict=True)) if one != other)
            found.append(f"{track}: differs from the sent audio {first / 2 / recorded.sample_rate:.3f} s into it")
    return found
