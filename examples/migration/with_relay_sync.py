"""Front desk that takes a message from a caller and notifies the boss by phone and text message.

The credentials are read from the environment. The caller's audio is streamed to the URL in STREAM_URL.
"""

from __future__ import annotations

import os

from relay_sync import Call, Message, RelayClient

BOSS, DESK = "+15550101", "+15550100"
client = RelayClient(contexts=["office", "default"])


@client.on_call
def handle_call(call: Call) -> None:
    call.answer()
    stream = call.stream(os.environ["STREAM_URL"], name="desk", codec="PCMU", track="inbound_track")
    welcome = call.play_tts("Welcome. Press 1 for the boss, 2 for other staff.", volume=2.0)
    welcome.wait(30)

    choice = call.collect(digits={"max": 1, "digit_timeout": 3}, initial_timeout=10)
    chosen = choice.wait(30)
    wanted = chosen.params["result"]["params"]["digits"]
    print("the caller pressed", wanted)

    sorry = call.prompt_tts("The boss is out. Your number?", collect={"digits": {"max": 4, "terminators": "#"}})
    entered = sorry.wait(30)
    print("call back", entered.params["result"]["params"]["digits"])

    music = call.play([{"type": "audio", "params": {"url": "https://files.example.com/wait.mp3"}}], loop=50)
    music.pause()
    music.resume()
    music.volume(-4)
    music.stop()
    music.wait(30)

    message = call.record({"format": "mp3", "beep": True, "initial_timeout": 5, "end_silence_timeout": 2})
    recorded = message.wait(30)
    print("the recording is", recorded.params["state"])

    stream.stop()
    stream.wait(30)
    call.send_digits("9")
    call.hangup()
    call.wait_for_ended(30)
    report(wanted)


def report(wanted: str) -> None:
    """Call the boss and send a text."""
    boss = {"type": "phone", "params": {"to_number": BOSS, "from_number": DESK, "timeout": 20}}
    call = client.dial([[boss]], max_duration=5)
    news = call.play_tts(f"A caller pressed {wanted} and left a message.")
    news.wait(30)
    call.hangup()
    call.wait_for_ended(30)

    text = client.send_message(to_number=BOSS, from_number=DESK, body="A caller left a message", tags=["desk"])
    print("a text goes to", text.to_number)
    end = text.wait(30)
    print("the text was", end.params["message_state"])


@client.on_message
def handle_message(message: Message) -> None:
    print(f"{message.from_number} writes: {message.body}")
    reply = client.send_message(
        context="office", to_number=message.from_number, from_number=message.to_number, body="We are closed."
    )
    print("a reply goes to", reply.to_number)
    reply.wait(30)
    client.unreceive(["office"])
    client.receive(["night"])
    client.disconnect()


client.run()
