"""Phone menu, and a scenario that tests it. From this folder, without an account:

relay-sync converse opening_hours.toml
"""

from __future__ import annotations

from relay_sync import Call, RelayClient

client = RelayClient(contexts=["default"])

MENU = "Welcome to the lighthouse. Press 1 for our opening hours."


@client.on_call
def handle(call: Call) -> None:
    call.answer()
    menu = call.prompt_tts(MENU, collect={"digits": {"max": 1}, "initial_timeout": 5.0}).wait(30)
    if menu.digits == "1":
        call.play_tts("We are open from nine to five.").wait(30)
    else:
        call.play_tts("That is not a choice.").wait(30)
    call.hangup()


if __name__ == "__main__":
    client.run()
