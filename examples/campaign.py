"""Call several people concurrently, leave messages on answering machines, and print a table of results.

python examples/campaign.py --simulate
FROM=+15550100 python examples/campaign.py Ann=+15550101,+15550111 Bob=+15550102

If a person has several numbers, all of them ring at the same time. When one is answered, the others stop ringing.
"""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor

from _network import SIMULATE, required, scene

from relay_sync import Call, DialFailed, RelayClient, RelayError, WaitTimeout, devices
from relay_sync.simulator import Simulator

AT_ONCE = 4
REMINDER = "This is a reminder of your appointment tomorrow at ten."
FROM = "+15550100" if SIMULATE else required("FROM", "your phone number, used as the caller ID")
#: Maximum time to wait for an answer, in seconds, even if the platform reports nothing.
GIVE_UP = 4.0 if SIMULATE else 60.0
#: Delay between two calls in seconds, because the platform limits the number of new calls per second.
APART = 0.05 if SIMULATE else 1.0

SIMULATED = [
    "Ann=+15550101,+15550111",
    "Bob=+15550102",
    "Cleo=+15550103",
    "Dan=+15550104",
    "Eve=+15550105",
    "Finn=+15550106",
]
PEOPLE = {
    name: numbers.split(",")
    for name, _, numbers in (one.partition("=") for one in (SIMULATED if SIMULATE else sys.argv[1:]))
}


def set_up_phones(simulator: Simulator) -> None:
    """Configure the simulated phones."""
    simulator.expect_phone("+15550101", answers_after=4, presses="1")
    simulator.expect_phone("+15550111", answers_after=None)  # never answers; Ann answers her other phone
    simulator.expect_phone("+15550102", answered_by="machine")
    simulator.expect_phone("+15550103", busy=True)
    simulator.expect_phone("+15550104", no_answer=True)
    simulator.expect_phone("+15550105", answers_after=None)  # never answers; the dial times out
    simulator.expect_phone("+15550106", hangs_up_after="reminder")


def contact(client: RelayClient, numbers: list[str]) -> tuple[str, str]:
    """Call a person. Return the number that answered, and a description of the result."""
    phones = [devices.phone(number, FROM, timeout=25) for number in numbers]
    try:
        call = client.dial([phones], dial_timeout=GIVE_UP)
    except DialFailed as error:
        return "", f"not reached: {error.reason}"
    try:
        outcome = talk(call)
        call.hangup()
        call.wait_for_ended(30)
    except WaitTimeout as error:
        outcome = f"given up: {error}"
        call.hangup()
    return call.to_number, outcome


def talk(call: Call) -> str:
    detector = call.detect_answering_machine(detect_message_end=True, timeout=30)
    detector.wait_for_result(60)
    if detector.is_machine:
        detector.wait(60)  # until the end of the greeting
        call.play_tts(REMINDER).wait(60)
        return "machine: message left"
    detector.stop()
    asked = call.prompt_tts(f"{REMINDER} Press 1 to confirm.", collect={"digits": {"max": 1}, "initial_timeout": 8.0})
    asked.wait(60)
    if call.state in ("ending", "ended"):
        return "person: hung up"
    return "person: confirmed" if asked.digits == "1" else "person: did not confirm"


def call_all(client: RelayClient, pool: ThreadPoolExecutor) -> None:
    client.connect()
    print(f"{'who':6} {'answered':12} outcome")
    jobs = {}
    for name, numbers in PEOPLE.items():
        jobs[name] = pool.submit(contact, client, numbers)
        time.sleep(APART)
    for name, job in jobs.items():
        try:
            number, outcome = job.result()
        except RelayError as error:  # continue with the other calls
            number, outcome = "", f"failed: {error}"
        print(f"{name:6} {number or '-':12} {outcome}")


def main() -> None:
    pool = ThreadPoolExecutor(AT_ONCE)
    with scene(setup=set_up_phones, media="fast") as client:
        try:
            call_all(client, pool)
        finally:  # also on Ctrl-C: cancel further calls and hang up live ones
            pool.shutdown(wait=False, cancel_futures=True)
            client.disconnect(hangup_calls=True)
            pool.shutdown()


if __name__ == "__main__":
    main()
