"""Send text messages, wait until they are delivered, and reply to inbound messages.

python examples/sms.py --simulate
FROM=+15550100 python examples/sms.py +15550101 +15550102
"""

from __future__ import annotations

import sys
import threading

from _network import SIMULATE, required, scene

from relay_sync import CommandRefused, Message, RelayClient, WaitTimeout
from relay_sync.simulator import Simulator

FROM = "+15550100" if SIMULATE else required("FROM", "your phone number, used as the sender")
NUMBERS = ["+15550101", "+15550102", "+15550103"] if SIMULATE else sys.argv[1:]
#: Maximum time to wait for delivery, in seconds.
PATIENCE = 3.0 if SIMULATE else 60.0
ANSWERS = {
    "HOURS": "We are here from nine to five.",
    "STOP": "You will receive no further texts. Text START to change your mind.",
}
all_sent, answered = threading.Event(), threading.Semaphore(0)
HELP = f"Text {' or '.join(ANSWERS)}."


def send(client: RelayClient, number: str, text: str) -> str:
    """Send a text message and return a description of the result."""
    try:
        message = client.send_message(to_number=number, from_number=FROM, body=text)
        message.wait(PATIENCE)
    except WaitTimeout:
        return "no final status"
    except CommandRefused as error:
        return f"refused: {error}"
    return f"{message.state} ({message.reason})" if message.reason else message.state


def set_up_phones(simulator: Simulator) -> None:
    """Configure a number that rejects messages, and a number that never confirms delivery."""
    simulator.expect_message("+15550102", ends="undelivered", reason="not a mobile number")
    simulator.expect_message("+15550103", ends="sent")


def scenario(simulator: Simulator) -> None:
    """Simulate a customer who sends two messages."""
    all_sent.wait(30)
    for text in ("hours", "hello?"):
        simulator.message(to=FROM, from_="+15550199", body=text)
        answered.acquire(timeout=30)


with scene(scenario, setup=set_up_phones, media="fast") as client:

    @client.on_message
    def handle(message: Message) -> None:
        try:
            answer = ANSWERS.get(message.body.strip().upper(), HELP)
            outcome = send(client, message.from_number, answer)
            print(f"{message.from_number}: {message.body!r} -> {answer!r}: {outcome}")
        finally:
            answered.release()

    client.connect()
    for number in NUMBERS:
        print(f"{number}: {send(client, number, 'Your parcel is on its way.')}")
    all_sent.set()
    client.run()  # reply to inbound messages until Ctrl-C
