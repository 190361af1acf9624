"""Who calls and who is called: one rule reads it, for the client and the simulator; nothing unreadable goes to the wire."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from relay_sync import CommandRefused, InvalidParameter, RelayClient, devices
from relay_sync.params import parties
from relay_sync.simulator import Simulator
from tests.support import PATIENCE
from tests.support.lines import FROM, TO, Line, line

NUMBER = "+15550101"
#: As they come out of a contact, a web page, a cell of a table.
COPIED = [
    f"\u202a{NUMBER}\u202c",
    f"\u2066{NUMBER}\u2069",
    f"\ufeff{NUMBER}",
    "+1555\u200b0101",
    "+1555\u00ad0101",
    f"{NUMBER}\n",
    f" {NUMBER}\t",
    f"\u00a0{NUMBER}\u00a0",
    f"{NUMBER}\r\n",
]
NO_NUMBER = [
    "",
    "hello",
    "+",
    "+1555\u00a00101",
    "+1555\u202f0101",
    "+1 555 0101",
    "+1-555-0101",
    "(555) 0101",
    "+44 (0)20 7946 0958",
    "+1555\n0101",
    "+15550101\x00",
    "\u202a\u202c",
    "++15550101",
    "15550101+",
    "+\uff11\uff15\uff15\uff15",
    "+\u0661\u0665\u0665\u0665",
    "tel:+15550101",
    "https://example.com",
    "1" * 40,
]
NO_SIP = [
    "sip:",
    "sip:a b@example.com",
    "sip:desk@",
    "sip:desk@exa mple.com",
    "sip:desk@example.com\n\nVia: x",
    "sip:@x y",
]


@pytest.mark.parametrize("text", COPIED)
def test_what_is_not_seen_of_a_copied_number_is_left_out(text: str) -> None:
    phone = {"to_number": NUMBER, "from_number": NUMBER}
    assert devices.phone(text, text)["params"] == phone
    assert parties.without_marks(text) == NUMBER
    sip = devices.sip("\u202asip:desk@example.com\u202c\n", text)["params"]
    assert sip == {"to": "sip:desk@example.com", "from": NUMBER}
    assert devices.fabric("\u202a/public/desk\n")["params"] == {"to": "/public/desk"}


@pytest.mark.parametrize("text", NO_NUMBER)
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(InvalidParameter, match=r"^Invalid to="):
        devices.phone(text)
    with pytest.raises(InvalidParameter, match=r"^Invalid from_="):
        devices.phone(NUMBER, text)


@pytest.mark.parametrize("text", [*NO_SIP, "hello", NUMBER])
def test_what_is_no_sip_address_is_refused(text: str) -> None:
    with pytest.raises(InvalidParameter, match=r"^Invalid to="):
        devices.sip(text)


@pytest.mark.parametrize(
    "text",
    [
        "sip:desk@example.com",
        "sips:desk@example.com:5061;transport=tcp",
        "SIP:a@b",
        "desk@example.com",
        "sip:192.0.2.1",
        "sip:+1555@[2001:db8::1]",
    ],
)
def test_sip_addresses(text: str) -> None:
    assert devices.sip(text, text)["params"]["to"] == text
    assert parties.is_party(text)


@pytest.mark.parametrize("text", ["+15550101", "15550101", "911", "*98", "#31#"])
def test_numbers(text: str) -> None:
    assert devices.phone(text, text)["params"] == {"to_number": text, "from_number": text}


@pytest.fixture
def one(sim: Simulator) -> Iterator[Line]:
    with line(sim) as found:
        yield found


def dict_device(kind: str, **params: str) -> dict[str, Any]:
    return {"type": kind, "params": params}


#: Each place where somebody is named to the client.
PLACES: dict[str, tuple[str, Callable[[Line, str], object]]] = {
    "dial": ("to", lambda one, text: one.client.dial(to=text, from_=FROM)),
    "dial, from": ("from_", lambda one, text: one.client.dial(to=TO, from_=text)),
    "dial, devices": (
        r"devices\[0\]\[0\].params.to_number",
        lambda one, text: one.client.dial([[dict_device("phone", to_number=text)]]),
    ),
    "connect": (
        r"devices\[0\]\[0\].params.from_number",
        lambda one, text: one.call.connect([[dict_device("phone", to_number=TO, from_number=text)]]),
    ),
    "connect, sip": (
        r"devices\[0\]\[0\].params.to",
        lambda one, text: one.call.connect([[dict_device("sip", to=text)]]),
    ),
    "connect, stream": (
        r"devices\[0\]\[0\].params.url",
        lambda one, text: one.call.connect([[dict_device("stream", url=text)]]),
    ),
    "refer": (r"device.params.to", lambda one, text: one.call.refer(dict_device("sip", to=text))),
    "transfer": ("dest", lambda one, text: one.call.transfer(text)),
    "message": ("to_number", lambda one, text: one.client.send_message(to_number=text, from_number=FROM, body="hi")),
    "message, from": (
        "from_number",
        lambda one, text: one.client.send_message(to_number=TO, from_number=text, body="hi"),
    ),
    "simulator, call": ("to", lambda one, text: one.sim.call(to=text, from_=FROM)),
    "simulator, caller": ("from_", lambda one, text: one.sim.call(to=TO, from_=text)),
    "simulator, phone": ("number", lambda one, text: one.sim.expect_phone(text)),
    "simulator, message": ("to", lambda one, text: one.sim.message(to=text, from_=FROM, body="hi")),
    "simulator, writer": ("from_", lambda one, text: one.sim.message(to=TO, from_=text, body="hi")),
    "simulator, expected message": ("to", lambda one, text: one.sim.expect_message(text)),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("text", ["+1555\u00a00101", "+1 555\n0101", "http:/nowhere @", "\u202a\u202c"])
def test_nothing_unreadable_goes_to_the_wire(one: Line, place: str, text: str) -> None:
    name, use = PLACES[place]
    before = len(one.sim.journal)
    with pytest.raises(InvalidParameter, match=f"^Invalid {name}="):
        use(one, text)
    sent = [entry for entry in one.sim.journal.numbered()[before:] if entry[1].method not in ("signalwire.ping", "")]
    assert not sent


def test_a_copied_number_is_dialed(one: Line) -> None:
    one.sim.expect_phone(f"\u202a{NUMBER}\u202c", answers_after=0.01)
    call = one.client.dial(to=f" {NUMBER}\n", from_=f"\u202a{FROM}\u202c")
    assert call.device["params"] == {"to_number": NUMBER, "from_number": FROM}
    params = one.sim.journal.requests("calling.dial")[0]["params"]["devices"][0][0]["params"]
    assert params == {"to_number": NUMBER, "from_number": FROM}


def test_the_simulator_refuses_what_another_client_sends(one: Line) -> None:
    bad = {
        "to_number": dict_device("phone", to_number=f"\u202a{NUMBER}\u202c"),
        "from_number": dict_device("phone", to_number=NUMBER, from_number="+1555 0100"),
        "to": dict_device("sip", to="sip:a b@example.com"),
    }
    for name, device in bad.items():
        with pytest.raises(CommandRefused, match=rf"devices\[0\]\[0\].params.{name} is no") as refused:
            one.client.execute("calling.dial", {"tag": "T", "devices": [[device]]})
        assert refused.value.code == 400
    for params in ({"to_number": "hello", "from_number": FROM}, {"to_number": TO, "from_number": "+1555\n0100"}):
        with pytest.raises(CommandRefused, match="_number is no"):
            one.client.execute("messaging.send", {"context": "default", "body": "hi", **params})


def test_a_caller_may_withhold_his_number(one: Line) -> None:
    phone = one.sim.call(to=TO, from_="anonymous")
    assert one.desk.take().device["params"]["from_number"] == "anonymous"
    phone.hang_up()


@pytest.mark.parametrize(
    "dest",
    [
        "context:billing",
        "https://example.com/swml",
        '{"version": "1.0.0"}',
        "version: 1.0.0\nsections: {}\n",
        "/public/desk",
    ],
)
def test_destinations(one: Line, dest: str) -> None:
    one.sim.hold("calling.transfer")
    try:
        with one.client.timeout(0.2), pytest.raises(Exception, match="did not reply to"):
            one.call.transfer(dest)
    finally:
        one.sim.release("calling.transfer")
    assert one.wait_for_request("calling.transfer")["dest"] == dest


def test_message_senders_may_have_names(sim: Simulator) -> None:
    with RelayClient(**sim.credentials, contexts=["default"]) as client:
        message = client.send_message(to_number=TO, from_number="ACME Inc.", body="hi")
        message.wait(PATIENCE)
        assert message.state == "delivered"
