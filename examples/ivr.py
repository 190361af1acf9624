"""Phone menu with opening hours, voicemail and transfer to an operator.

python examples/ivr.py --simulate
OPERATOR=+15550102 python examples/ivr.py
"""

from __future__ import annotations

import threading
from typing import Any

from _network import SIMULATE, required, scene

from relay_sync import Call, CallEnded, ConnectEvent, devices
from relay_sync.simulator import Simulator

MENU = "Press 1 for our opening hours, 2 to leave a message, or 0 to talk to the operator."
OPERATOR = "+15550102" if SIMULATE else required("OPERATOR", "the number that callers are transferred to")
ATTEMPTS = 3


def caller(call: Call) -> str:
    return str(call.device.get("params", {}).get("from_number", "unknown"))


def say(call: Call, text: str) -> None:
    call.play_tts(text).wait(60)


def choose(call: Call) -> str:
    """Return the menu key pressed by the caller, or ``""`` if there is none after several attempts."""
    for _ in range(ATTEMPTS):
        menu = call.prompt_tts(MENU, collect={"digits": {"max": 1}, "initial_timeout": 8.0})
        menu.wait(60)
        if menu.digits in CHOICES:
            return menu.digits
        if menu.type == "digit":
            say(call, f"{menu.digits} is not a choice.")
    return ""


def opening_hours(call: Call) -> None:
    print(f"{caller(call)} asks for the opening hours")
    say(call, "We are here from nine to five.")


def voicemail(call: Call) -> None:
    say(call, "Please speak after the beep.")
    recording = call.record({"format": "wav", "beep": True, "initial_timeout": 6.0, "end_silence_timeout": 3.0})
    recording.wait(180)
    if recording.state == "no_input":
        print(f"{caller(call)} left no message")
    else:
        where = "" if SIMULATE else f": {recording.url}"
        print(f"{caller(call)} left a message of {recording.duration:.0f} s{where}")
        say(call, "Thank you.")


def operator(call: Call) -> None:
    """Connect the caller to the operator. If the operator does not answer, take a message."""
    with call.expect(ConnectEvent, over, timeout=3600) as bridge:  # start listening before the command is sent
        with call.expect(ConnectEvent, decided, timeout=60) as progress:
            call.connect(
                [[devices.phone(OPERATOR, timeout=20)]],
                ringback=[{"type": "ringtone", "params": {"name": "us"}}],
            )
        if progress.value.connect_state == "connected":
            print(f"{caller(call)} talks to {OPERATOR}")
    if bridge.value.connect_state == "disconnected":
        say(call, "The other side has hung up.")
    else:
        print(f"{OPERATOR} does not answer")
        voicemail(call)


def decided(event: ConnectEvent) -> bool:
    return event.connect_state in ("connected", "failed", "disconnected")


def over(event: ConnectEvent) -> bool:
    return event.connect_state in ("failed", "disconnected")


CHOICES = {"0": operator, "1": opening_hours, "2": voicemail}

done = threading.Semaphore(0)


def set_up_phones(simulator: Simulator) -> None:
    """Configure the operator's phone to answer the first call and be busy afterward."""
    simulator.expect_phone(OPERATOR, hangs_up_after=1.0, times=1)
    simulator.expect_phone(OPERATOR, busy=True)


def scenario(simulator: Simulator) -> None:
    """Simulate five calls, one after the other."""
    message = ["This is Ann, please call me back about my order."]
    behaviors: list[dict[str, Any]] = [
        {"presses": "1"},
        {"presses": ["7", "2"], "says": message},
        {"presses": "0"},
        {"presses": "0", "says": message},
        {"hangs_up_after": "Press 1"},
    ]
    for number, behavior in enumerate(behaviors):
        simulator.call(to="+15550100", from_=f"+1555019{number}", **behavior)
        done.acquire(timeout=30)


with scene(scenario, setup=set_up_phones, media="fast") as client:

    @client.on_call
    def handle(call: Call) -> None:
        try:
            call.answer()
            key = choose(call)
            if key:
                CHOICES[key](call)
                say(call, "Goodbye.")
        except CallEnded:
            pass
        finally:  # also after an error
            call.hangup()
            call.wait_for_ended(30)
            done.release()
        print(f"{caller(call)}: call over")

    client.run()
