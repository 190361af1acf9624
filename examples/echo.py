"""Echo the caller: the audio that arrives on a two-way stream is played back until the caller hangs up.

python examples/echo.py --simulate
"""

from __future__ import annotations

from _network import network, receiver

from relay_sync import Call

with receiver() as audio, network() as client:

    @client.on_call
    def handle(call: Call) -> None:
        call.answer()
        with audio.connect(call, codec="PCMU", realtime=True) as stream:
            stream.play(stream)  # a stream is a source of audio
        print(f"{stream.stats.seconds:.1f} s were echoed to the caller; the stream was {stream.end_reason}")

    client.run()
