"""Save a call as a stereo WAV file, with the caller on the left and what the caller hears on the right.

python examples/stream_to_wav.py --simulate
"""

from __future__ import annotations

from _network import network, receiver

from relay_sync import Call

with receiver() as audio, network() as client:

    @client.on_call
    def handle(call: Call) -> None:
        call.answer()
        with audio.listen(call, track="both", codec="PCMU") as stream:
            seconds = 0.0
            for frame in stream:  # until the caller hangs up
                if frame.track == "inbound":
                    seconds += frame.samples / frame.sample_rate
        stream.save("call.wav")
        print(f"{seconds:.1f} s of the caller in call.wav; the stream was {stream.end_reason}")

    client.run()
