"""Start two streams on one call, one for the caller's audio and one for the audio played to the caller.

python examples/several_streams.py --simulate
"""

from __future__ import annotations

from _network import network, receiver

from relay_sync import Call

with receiver() as audio, network() as client:

    @client.on_call
    def handle(call: Call) -> None:
        call.answer()
        try:
            with (
                audio.listen(call, track="inbound", codec="PCMU", name="caller") as caller,
                audio.listen(call, track="outbound", codec="L16@16000h", name="callee") as callee,
            ):
                for stream in (caller, callee):
                    heard = stream.read(0.5, timeout=10)
                    print(stream.media_format.encoding, stream.sample_rate, "Hz:", len(heard), "bytes")
        finally:
            call.hangup()

    client.run()
