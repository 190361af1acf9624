"""Stream the first second of a call, then stop the stream while the call continues.

python examples/stop_early.py --simulate
"""

from __future__ import annotations

from _network import network, receiver

from relay_sync import Call

with receiver() as audio, network() as client:

    @client.on_call
    def handle(call: Call) -> None:
        call.answer()
        try:
            with audio.listen(call, codec="PCMU") as stream:
                first_second = stream.read(1.0, timeout=10)
            # The stream was stopped at the end of the block.
            print(f"{len(first_second)} bytes of PCM; the call is {call.state}")
        finally:
            call.hangup()
        call.wait_for_ended(timeout=10)
        print(f"the call ended: {call.end_reason}")

    client.run()
