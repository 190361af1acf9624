"""Play the caller's audio back on a two-way stream until the caller hangs up.

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
            stream.play(stream)  # a stream can be played like any other audio source
        print(f"{stream.stats.seconds:.1f} s were echoed to the caller; the stream was {stream.end_reason}")

    client.run()
