"""Answer calls, and stream the caller's audio to a WebSocket server until the call ends.

With an account, set SIGNALWIRE_PROJECT_ID, SIGNALWIRE_API_TOKEN, SIGNALWIRE_SPACE (your-space.signalwire.com) and STREAM_URL (the
wss:// URL of the WebSocket server), and run

    python examples/stream_call.py

To run the example without an account, with a simulated caller and a local audio receiver, run

    python examples/stream_call.py --simulate
"""

from __future__ import annotations

import os
import sys

from relay_sync import Call, RelayClient, WaitTimeout


def serve(stream_url: str, *, once: bool = False) -> None:
    """Handle calls until Ctrl-C. With *once*, stop after the first call."""
    client = RelayClient(contexts=["default"])  # credentials and host come from the environment

    @client.on_call
    def handle_call(call: Call) -> None:  # runs in its own thread, so it may block
        try:
            call.answer()
            action = call.stream(
                url=stream_url,
                track="inbound",
                codec="PCMU",
                custom_parameters={"session_id": "abc123"},
            )
            print(f"call {call.call_id}: streaming to {stream_url}")
            call.wait_for_ended()
            print(f"call {call.call_id}: ended ({call.end_reason}), the stream is {action.state}")
        finally:  # also after an error; otherwise, run() would never return
            if once:
                client.stop()

    client.run()


def simulate() -> None:
    """Run the program with a simulator and an audio receiver in this process."""
    from relay_sync.audio import AudioServer
    from relay_sync.simulator import Simulator, speech

    with Simulator(media="fast") as sim, AudioServer() as audio:
        os.environ["SIGNALWIRE_PROJECT_ID"] = sim.credentials["project"]
        os.environ["SIGNALWIRE_API_TOKEN"] = sim.credentials["token"]
        os.environ["SIGNALWIRE_SPACE"] = sim.credentials["host"]
        sim.call(to="+15550100", from_="+15550199", says=speech.caller(), hangs_up_after_speaking=True)
        serve(audio.url, once=True)
        try:
            stream = audio.accept(timeout=1)
        except WaitTimeout:
            sys.exit("no stream arrived")
        stream.wait(timeout=10)
        session = stream.custom_parameters["session_id"]
        print(f"receiver: {stream.stats.seconds:.1f} s of {stream.media_format.encoding}, session {session}")


if __name__ == "__main__":
    if sys.argv[1:] == ["--simulate"]:
        simulate()
    elif sys.argv[1:] or not os.environ.get("STREAM_URL"):
        sys.exit(__doc__)
    else:
        serve(os.environ["STREAM_URL"])
