"""The program that the other files in this folder run: it answers each call and saves both sides as a stereo WAV file.

Settings come from the environment; ``env.example`` lists them.
"""

import os

from relay_sync import Call, RelayClient
from relay_sync.audio import AudioServer

client = RelayClient(contexts=[os.environ.get("RELAY_CONTEXT", "default")])
audio = AudioServer(
    os.environ.get("AUDIO_HOST", "127.0.0.1"),
    port=range(8765, 8773),  # one port for each process, and as many again for a rolling restart
    public_url=os.environ.get("AUDIO_URL"),
    record_to=os.path.join(os.environ.get("RECORDINGS", "."), "{call_id}.wav"),  # written as the audio arrives
)


@client.on_call
def handle(call: Call) -> None:  # runs in its own thread, so it may block
    call.answer()
    with audio.listen(call, track="both", codec="PCMU") as stream:
        stream.wait()  # until the caller hangs up
    print(f"saved {call.call_id}.wav, {stream.stats.seconds:.1f} s", flush=True)


if __name__ == "__main__":
    client.run(drain=120)
