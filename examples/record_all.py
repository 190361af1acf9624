"""Record every call of a context as stereo WAV: the caller left, the far side right, one file a call in ``calls/``.

The files grow during the calls and stay valid: if a call is cut off or this program is killed, less than the last second
is lost.

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
    def handle(call: Call) -> None:  # a thread for each call
        call.answer()
        with audio.listen(call, track="both", codec="PCMU") as stream:
            stream.wait()  # until the caller hangs up; reading is not necessary
        if stream.recorded_to is not None:
            with lock:
                recorded.append(stream.recorded_to)

    client.run()

for path in recorded:
    wav = read_wav(path)
    print(f"{Path(path).parent}: {wav.channels} channels, {wav.duration:.1f} s")
