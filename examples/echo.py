"""A caller hears himself: what comes in on a two-way stream goes back out, until he hangs up.

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
            stream.play(stream)  # its frames are audio like any other
        print(f"{stream.stats.seconds:.1f} s of the caller went back to him; the stream was {stream.end_reason}")

    client.run()
