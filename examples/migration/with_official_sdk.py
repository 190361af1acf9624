"""Front desk that takes a message from a caller and notifies the boss by phone and text message.

The credentials are read from the environment. The caller's audio is streamed to the URL in STREAM_URL.
"""

from __future__ import annotations

import os

from signalwire.relay import Call, Message, RelayClient

BOSS, DESK = "+15550101", "+15550100"
client = RelayClient(contexts=["office", "default"])


@client.on_call
async def handle_call(call: Call) -> None:
    await call.answer()
    stream = await call.stream(os.environ["STREAM_URL"], name="desk", codec="PCMU", track="inbound_track")
    welcome = await call.play_tts("Welcome. Press 1 for the boss, 2 for other staff.", volume=2.0)
    await welcome.wait(30)

    choice = await call.collect(digits={"max": 1, "digit_timeout": 3}, initial_timeout=10)
    chosen = await choice.wait(30)
    wanted = chosen.params["result"]["params"]["digits"]
    print("the caller pressed", wanted)

    sorry = await call.prompt_tts("The boss is out. Your number?", collect={"digits": {"max": 4, "terminators": "#"}})
    entered = await sorry.wait(30)
    print("call back", entered.params["result"]["params"]["digits"])

    music = await call.play([{"type": "audio", "params": {"url": "https://files.example.com/wait.mp3"}}], loop=50)
    await music.pause()
    await music.resume()
    await music.volume(-4)
    await music.stop()
    await music.wait(30)

    message = await call.record({"format": "mp3", "beep": True, "initial_timeout": 5, "end_silence_timeout": 2})
    recorded = await message.wait(30)
    print("the recording is", recorded.params["state"])

    await stream.stop()
    await stream.wait(30)
    await call.send_digits("9")
    await call.hangup()
    await call.wait_for_ended(30)
    await report(wanted)


async def report(wanted: str) -> None:
    """Call the boss and send a text."""
    boss = {"type": "phone", "params": {"to_number": BOSS, "from_number": DESK, "timeout": 20}}
    call = await client.dial([[boss]], max_duration=5)
    news = await call.play_tts(f"A caller pressed {wanted} and left a message.")
    await news.wait(30)
    await call.hangup()
    await call.wait_for_ended(30)

    text = await client.send_message(to_number=BOSS, from_number=DESK, body="A caller left a message", tags=["desk"])
    print("a text goes to", text.to_number)
    end = await text.wait(30)
    print("the text was", end.params["message_state"])


@client.on_message
async def handle_message(message: Message) -> None:
    print(f"{message.from_number} writes: {message.body}")
    reply = await client.send_message(
        context="office", to_number=message.from_number, from_number=message.to_number, body="We are closed."
    )
    print("a reply goes to", reply.to_number)
    await reply.wait(30)
    await client.unreceive(["office"])
    await client.receive(["night"])
    await client.disconnect()


client.run()
