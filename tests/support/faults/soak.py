"""A soak: calls without end through a network that breaks every few seconds, and a balance of what became of each.

Run by hand: ``python -m tests.support.faults.soak --seconds 1800 --seed 1``; a minute of it is among the slow tests.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from attrs import define, field

from relay_sync import Call, CallStateEvent, RelayClient, RelayError, RelayEvent, WaitTimeout
from relay_sync.simulator import Simulator
from relay_sync.simulator.people.phone import Phone
from tests.support.faults.fault import STORM, Corrupt
from tests.support.faults.proxy import FaultProxy
from tests.support.lines import FROM, NOWHERE, TO

__all__ = ["Balance", "Sample", "soak"]

ELSEWHERE = "+15550177"
OPTIONS: Final[dict[str, Any]] = {
    "ping_interval": 0.5,
    "ping_timeout": 1.0,
    "connect_timeout": 5.0,
    "request_timeout": 5.0,
}
#: Corruption comes from here, with a mask that leaves no valid UTF-8: a frame whose words were changed is another frame, and
#: nobody could say of it what was delivered.
KINDS: Final = tuple(kind for kind in STORM if kind != "corrupt")
BAD_BYTES: Final = 0xFF
#: Seconds that everything has for ending once the weather is fine again.
CALM: Final = 60.0
MOST_CALLS: Final = 25


@define
class Sample:
    """What the process holds at a moment, after the garbage was collected."""

    at: float
    rss: int  # KiB
    threads: int
    descriptors: int
    objects: int


@define
class Balance:
    """What became of everything."""

    seed: int
    faults: Counter[str] = field(factory=Counter)
    connections: int = 0
    calls: int = 0  # inbound calls and dials whose handler ran
    offered: int = 0
    dials: int = 0
    delivered: Counter[str] = field(factory=Counter)  # terminal events that the client acknowledged
    errors: Counter[str] = field(factory=Counter)  # what users saw
    problems: list[str] = field(factory=list)
    samples: list[Sample] = field(factory=list)


def sample(began: float, proxy: FaultProxy) -> Sample:
    """Look at this process; what the proxy keeps open, to be silent on, is not counted."""
    gc.collect()
    with open("/proc/self/statm") as file:
        pages = int(file.read().split()[1])
    return Sample(
        at=round(time.monotonic() - began, 1),
        rss=pages * os.sysconf("SC_PAGE_SIZE") // 1024,
        threads=threading.active_count(),
        descriptors=len(os.listdir("/proc/self/fd")) - 2 * proxy.connections - len(proxy._holes),
        objects=len(gc.get_objects()),
    )


@define(eq=False)
class Watched:
    """One call, and what its user was told."""

    call: Call
    listening: bool = False  # since before the call could end
    handlers: int = 0
    ends: int = 0
    completed: int = 0
    streamed: str = ""  # the control id of the stream that a verb returned
    over: bool = False
    since: float = field(factory=time.monotonic)


@define(eq=False)
class Soak:
    """One client, its calls, and the ledger of what the server delivered."""

    sim: Simulator
    proxy: FaultProxy
    client: RelayClient
    dice: random.Random
    balance: Balance
    tell: Callable[[Balance], object] = field(default=lambda balance: None)
    lock: Any = field(factory=threading.Lock)
    watched: dict[str, Watched] = field(factory=dict)
    sent: dict[str, tuple[str, str]] = field(factory=dict)  # id of a frame: which end of what
    delivered: dict[tuple[str, str], float] = field(factory=dict)
    read: int = 0
    dialling: int = 0

    # -- as users do ---------------------------------------------------------------------------------------------

    def handle(self, call: Call) -> None:
        """The handler of inbound calls."""
        self._work(call)

    def dial(self) -> None:
        """Call somebody, in a thread of its own."""
        try:
            self._work(self.client.dial(to=ELSEWHERE, from_=FROM, dial_timeout=8.0))
        except RelayError as error:
            self._saw(error)
        finally:
            with self.lock:
                self.dialling -= 1

    def _work(self, call: Call) -> None:
        with self.lock:
            one = self.watched.setdefault(call.call_id, Watched(call))
            one.handlers += 1
            choice, pause = self.dice.random(), self.dice.uniform(0.1, 8.0)
        call.on("calling.call.state", lambda event: self._heard(one, event))
        one.listening = call.state != "ended"
        try:
            if call.direction == "inbound":
                call.answer()
            if choice < 0.6:
                action = call.stream(NOWHERE, on_completed=lambda event: self._completed(one))
                one.streamed = action.control_id
                action.wait()
            elif choice < 0.8:
                call.play([{"type": "silence", "params": {"duration": 1}}]).wait()
            if call.direction == "outbound" and choice < 0.5:
                self._linger(call, pause)  # nobody else ends these
            if choice > 0.5 or call.direction == "outbound":
                call.hangup()
            call.wait_for_ended()
        except RelayError as error:
            self._saw(error)
            try:
                call.wait_for_ended()
            except RelayError as end:
                self._saw(end)
        one.over = True

    @staticmethod
    def _linger(call: Call, seconds: float) -> None:
        try:
            call.wait_for_ended(seconds)
        except WaitTimeout:
            pass

    def _heard(self, one: Watched, event: RelayEvent) -> None:
        if isinstance(event, CallStateEvent) and event.call_state == "ended":
            with self.lock:
                one.ends += 1

    def _completed(self, one: Watched) -> None:
        with self.lock:
            one.completed += 1

    def _saw(self, error: RelayError) -> None:
        with self.lock:
            self.balance.errors[type(error).__name__] += 1

    # -- the ledger ----------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Read what is new in the simulator's journal: which terminal events were sent, and which the client acknowledged."""
        entries = self.sim.journal.numbered()
        if entries and entries[0][0] > self.read > 0:
            self.balance.problems.append("the journal was read too seldom")
        for number, entry in entries:
            if number < self.read:
                continue
            self.read = number + 1
            frame = entry.frame if isinstance(entry.frame, dict) else {}
            if entry.direction == "out" and entry.event_type == "calling.call.state":
                if entry.params.get("call_state") == "ended":
                    self.sent[frame["id"]] = ("call", str(entry.params["call_id"]))
            elif entry.direction == "out" and entry.event_type == "calling.call.stream":
                if entry.params.get("state") == "finished":
                    self.sent[frame["id"]] = ("stream", str(entry.params["control_id"]))
            elif entry.direction == "in" and not entry.method:
                end = self.sent.pop(str(frame.get("id")), None)
                if end is not None:
                    self.delivered.setdefault(end, time.monotonic())
                    self.balance.delivered[end[0]] += 1

    def settle(self, patience: float) -> None:
        """Check the calls that are over, and forget them; complain of those that are not though they must be."""
        self.look()
        now = time.monotonic()
        with self.lock:
            known = list(self.watched.items())
        for call_id, one in known:
            told = self.delivered.get(("call", call_id))
            streamed = self.delivered.get(("stream", one.streamed))
            late = told is not None and now - told > patience
            if not one.over:
                if late:
                    self._complain(one, "its end was delivered, and its handler still waits")
                elif streamed is not None and now - streamed > patience and not one.completed:
                    self._complain(one, "the end of its stream was delivered, and nobody was told")
                continue
            if one.ends > 1 or one.completed > 1 or one.handlers > 1:
                self._complain(one, f"{one.handlers} handlers, {one.ends} ends, {one.completed} completions")
            missing = (late and one.listening and not one.ends) or (one.streamed and not one.completed)
            if missing and now - (told or one.since) > patience:
                self._complain(one, f"lost: {one.ends} ends, {one.completed} completions")
            elif missing or (told is None and now - one.since < patience):
                continue
            with self.lock:
                self.watched.pop(call_id, None)
                self.balance.calls += 1
            self.delivered.pop(("call", call_id), None)
            self.delivered.pop(("stream", one.streamed), None)
        # Of calls that never reached a handler, and of frames that were never acknowledged.
        self.delivered = {end: at for end, at in self.delivered.items() if now - at < 4 * patience}
        while len(self.sent) > 5000:
            self.sent.pop(next(iter(self.sent)))

    def _complain(self, one: Watched, what: str) -> None:
        self.balance.problems.append(f"call {one.call.call_id} ({one.call.state}): {what}")
        with self.lock:
            self.watched.pop(one.call.call_id, None)

    # -- the weather ---------------------------------------------------------------------------------------------

    def blow(self, seconds: float, every: tuple[float, float], began: float, rest: float) -> None:
        """Call and be called through a storm, for so many seconds."""
        self.proxy.storm(self.balance.seed, every=every, kinds=KINDS)
        phones: list[Phone] = []
        end, next_sample, next_look = time.monotonic() + seconds, time.monotonic() + rest, 0.0
        next_corruption = time.monotonic() + self.dice.uniform(*every) * 4
        while (now := time.monotonic()) < end and len(self.balance.problems) < 20:
            phones = [phone for phone in phones if phone.state != "ended"]
            if self.dice.random() < 0.3 and self.dialling < MOST_CALLS:
                with self.lock:
                    self.dialling += 1
                self.balance.dials += 1
                threading.Thread(target=self.dial, name="soak-dial", daemon=True).start()
            elif len(phones) < MOST_CALLS:
                self.balance.offered += 1
                phones.append(self.sim.call(to=TO, from_=FROM))
            if phones and self.dice.random() < 0.4:
                self.dice.choice(phones).hang_up()
            # Bytes that are to be changed wait for such to come: meanwhile they would pile up, and spoil every handshake.
            if now > next_corruption and self.client.state == "connected":
                way = self.dice.choice(("up", "down"))
                self.proxy.apply(Corrupt(way, skip=self.dice.randint(0, 200), count=4, mask=BAD_BYTES))
                next_corruption = now + self.dice.uniform(*every) * 4
            if now > next_look:
                self.settle(CALM)
                next_look = now + 0.5
            if now > next_sample:
                self.balance.samples.append(sample(began, self.proxy))
                self.tell(self.balance)
                next_sample = now + rest
            time.sleep(self.dice.uniform(0.02, 0.3))  # calls come when they like
        self.proxy.calm()
        for phone in phones:
            phone.hang_up()

    def clear_up(self) -> None:
        """The weather is fine: the client is as good as new, and everything ends."""
        self.client.wait_until_ready(CALM)
        self.client.execute("signalwire.ping", {}, timeout=CALM)
        end = time.monotonic() + CALM
        while True:
            for call in self.client.calls.values():  # dials nobody hung up
                try:
                    call.hangup()
                except RelayError as error:
                    self._saw(error)
            with self.lock:
                waiting = [one for one in self.watched.values() if not one.over]
                busy = self.dialling
            if not waiting and not busy and not self.client.calls:
                break
            if time.monotonic() > end:
                for one in waiting:
                    self._complain(one, "never ended: a hang")
                self.balance.problems += [f"{busy} dials never ended"] if busy else []
                break
            time.sleep(0.1)
        self.sim.wait_for_acks(CALM)
        end = time.monotonic() + 5.0
        while self.watched and time.monotonic() < end:
            self.settle(1.0)
            time.sleep(0.1)


def soak(
    seconds: float,
    seed: int,
    *,
    every: tuple[float, float] = (2.0, 5.0),
    rest: float = 30.0,
    tell: Callable[[Balance], object] = lambda balance: None,
) -> Balance:
    """Run it, and tell what became of everything; what must not be is in ``problems``.

    :param every: seconds between two faults, from and to. :param rest: seconds between two samples. :param tell: called at
        each.
    """
    began = time.monotonic()
    balance = Balance(seed)
    with (
        Simulator(media="fast", on_bad_resume="fresh", ping_interval=2.0, ping_timeout=4.0, journal_limit=5000) as sim,
        FaultProxy(sim.port) as proxy,
    ):
        sim.expect_phone(ELSEWHERE)
        with RelayClient(**proxy.through(sim), contexts=["default"], **OPTIONS) as client:
            one = Soak(sim, proxy, client, random.Random(seed), balance, tell)
            client.on_call(one.handle)
            one.blow(seconds, every, began, rest)
            one.clear_up()
            balance.samples.append(sample(began, proxy))
        balance.faults = Counter(type(each.fault).__name__ for each in proxy.log)
        balance.connections = proxy.accepted
    return balance


def main() -> int:
    """Print the figures; 1 if there was a problem."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1800.0)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    balance = soak(given.seconds, given.seed, tell=show)
    show(balance)
    print(json.dumps({name: value for name, value in vars_of(balance).items() if name != "samples"}, indent=1))
    return 1 if balance.problems else 0


def show(balance: Balance) -> None:
    """A line for a sample."""
    now = balance.samples[-1]
    held = f"{now.rss} KiB, {now.threads} threads, {now.descriptors} descriptors, {now.objects} objects"
    print(
        f"{now.at:8.1f} s: {balance.calls} calls over, {sum(balance.delivered.values())} ends delivered, {held}",
        flush=True,
    )
    print("".join(f"   {problem}\n" for problem in balance.problems), end="", flush=True)


def vars_of(balance: Balance) -> dict[str, Any]:
    """The members, as JSON knows them."""
    return {name: getattr(balance, name) for name in Balance.__slots__ if not name.startswith("__")}


if __name__ == "__main__":
    sys.exit(main())
