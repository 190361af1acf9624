"""Record every call to a stereo WAV file in ``calls/``, with the caller on the left and what the caller hears on the right.

The files are written during the calls and are always valid. If this program is killed, less than one second of audio is lost.

python examples/record_all.py --simulate
"""

from __future__ import annotations

import threading
from pathlib import Path

from _network import network, receiver

from relay_sync import Call
from relay_sync.audio import read_wav

with receiver(record_to="calls/{call_id}.wav") as audio, network(calls=3) as client:
    recorded: list[str] = []
    lock = threading.Lock()

    @client.on_call
    def handle(call: Call) -> None:  # runs in a separate thread for each call
        call.answer()
        with audio.listen(call, track="both", codec="PCMU") as stream:
            stream.wait()  # until the caller hangs up; there is no need to read the audio
        if stream.recorded_to is not None:
            with lock:
                recorded.append(stream.recorded_to)

    client.run()

for path in recorded:
    wav = read_wav(path)
    print(f"{Path(path).parent}: {wav.channels} channels, {wav.duration:.1f} s")
