"""Run a callback when a stream ends.

python examples/on_completed.py --simulate
"""

from __future__ import annotations

from _network import network, receiver

from relay_sync import Call, StreamEvent

with receiver() as audio, network() as client:

    def finished(event: StreamEvent) -> None:
        # Called once, for any reason why the stream ends. It may block.
        print(f"stream {event.name!r} is over: {event.state or event.reason}")

    @client.on_call
    def handle(call: Call) -> None:
        call.answer()
        call.stream(audio.url, name="copy", codec="PCMU", on_completed=finished)
        call.wait_for_ended()

    client.run()
