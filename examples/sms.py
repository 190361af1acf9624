"""Send text messages, wait for their delivery, and answer inbound messages.

python examples/sms.py --simulate
FROM=+15550100 python examples/sms.py +15550101 +15550102
"""

from __future__ import annotations

import sys
import threading

from _network import SIMULATE, required, scene

from relay_sync import CommandRefused, Message, RelayClient, WaitTimeout
from relay_sync.simulator import Simulator

FROM = "+15550100" if SIMULATE else required("FROM", "your number, from which texts are sent")
NUMBERS = ["+15550101", "+15550102", "+15550103"] if SIMULATE else sys.argv[1:]
#: Seconds to wait for the delivery of a text.
PATIENCE = 3.0 if SIMULATE else 60.0
ANSWERS = {
    "HOURS": "We are here from nine to five.",
    "STOP": "You will receive no further texts. Text START to change your mind.",
}
all_sent, answered = threading.Event(), threading.Semaphore(0)
HELP = f"Text {' or '.join(ANSWERS)}."


def send(client: RelayClient, number: str, text: str) -> str:
    """Send a text and return its outcome."""
    try:
        message = client.send_message(to_number=number, from_number=FROM, body=text)
        message.wait(PATIENCE)
    except WaitTimeout:
        return "no final status"
    except CommandRefused as error:
        return f"refused: {error}"
    return f"{message.state} ({message.reason})" if message.reason else message.state


def people(simulator: Simulator) -> None:
    """One number that accepts no texts, and one whose text gets lost."""
    simulator.expect_message("+15550102", ends="undelivered", reason="not a mobile number")
    simulator.expect_message("+15550103", ends="sent")


def story(simulator: Simulator) -> None:
    """A customer writes twice."""
    all_sent.wait(30)
    for text in ("hours", "hello?"):
        simulator.message(to=FROM, from_="+15550199", body=text)
        answered.acquire(timeout=30)


with scene(story, people=people, media="fast") as client:

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
    client.run()  # and answer
