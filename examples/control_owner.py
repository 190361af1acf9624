"""Answer calls, and save the streams that a web application starts on them. ``control_flask.py`` is the web application.

    export RELAY_AUDIO_TOKEN=...        # the same for both: python -c "import secrets; print(secrets.token_urlsafe(24))"
    relay-sync run control_owner:client --processes 2

With an account, also set AUDIO_URL, such as wss://audio.example.com/{port}. docs/control.md describes the two programs.
"""

from __future__ import annotations

import os

import control_calls

from relay_sync import Call, RelayClient
from relay_sync.audio import AudioServer, AudioStream
from relay_sync.events import StreamEvent


def on_stream(stream: AudioStream) -> None:  # in its own thread; the stream is closed when this returns
    stream.wait()  # or read its frames
    control_id = stream.custom_parameters.get("control_id")  # from the view that started the stream
    print(f"saved {stream.recorded_to}, {stream.stats.seconds:.1f} s of stream {control_id}", flush=True)


client = RelayClient(contexts=["default"])
AUDIO_URL = os.environ.get("AUDIO_URL")
audio = AudioServer(
    port=range(8765, 8773) if AUDIO_URL else 0,  # behind a proxy that routes /8765 to port 8765, and so on
    public_url=AUDIO_URL,
    token=os.environ["RELAY_AUDIO_TOKEN"],  # shared with the web application, which starts the streams
    record_to="{call_id}.wav",  # the call's second stream: {call_id}-2.wav
    on_stream=on_stream,
)


@client.on_call
def handle(call: Call) -> None:
    def follow(event: StreamEvent) -> None:  # events of all streams on the call, including those started over REST
        if event.state == "finished":
            control_calls.release_stream(event.control_id)
        else:
            control_calls.claim_stream(call.call_id, event.control_id)

    call.on("calling.call.stream", follow)
    call.answer()
    control_calls.add(call.call_id, call.from_number, audio.url)
    try:
        call.wait_for_ended()
    finally:
        control_calls.remove(call.call_id)


if __name__ == "__main__":
    client.run()
