"""The handler for calls, which ``manage.py relay`` loads: it answers them, and saves the streams that views start."""

from __future__ import annotations

import os

from relay_sync import Call
from relay_sync.audio import AudioServer, AudioStream
from relay_sync.contrib.django import on_call, with_database
from relay_sync.events import StreamEvent

from .models import LiveCall


def on_stream(stream: AudioStream) -> None:  # in its own thread; the stream is closed when this returns
    stream.wait()  # or read its frames
    control_id = stream.custom_parameters.get("control_id")  # from the view that started the stream
    print(f"saved {stream.recorded_to}, {stream.stats.seconds:.1f} s of stream {control_id}", flush=True)


AUDIO_URL = os.environ.get("AUDIO_URL")
audio = AudioServer(
    port=range(8765, 8773) if AUDIO_URL else 0,  # behind a proxy that routes /8765 to port 8765, and so on
    public_url=AUDIO_URL,
    token=os.environ["RELAY_AUDIO_TOKEN"],  # shared with the views, which start the streams
    record_to="{call_id}.wav",  # the call's second stream: {call_id}-2.wav
    on_stream=on_stream,
)


@on_call
def handle(call: Call) -> None:
    row = LiveCall(call_id=call.call_id, caller=call.from_number)

    @with_database
    def follow(event: StreamEvent) -> None:  # events of all streams on the call, including those started over REST
        if event.state == "finished":
            LiveCall.release_stream(event.control_id)
        else:
            row.claim_stream(event.control_id)

    call.on("calling.call.stream", follow)
    call.answer()
    row.audio_url = audio.url
    row.save()
    try:
        call.wait_for_ended()
    finally:
        row.delete()
