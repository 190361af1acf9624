"""Devices: the exact objects that the builders make, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from relay_sync import InvalidParameter, devices

STATUS = "https://app.example.test/status"

# Written by hand from the device variants of calling.dial, calling.connect and of STREAM, "Neighbours".
MADE: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (devices.phone("+15550100022"), {"type": "phone", "params": {"to_number": "+15550100022"}}),
    (
        devices.phone(
            to="+15550100022",
            from_="+15550100011",
            timeout=25,
            confirm="https://app.example.test/confirm",
            confirm_timeout=10,
            call_state_url=STATUS,
            call_state_events=["Answered", "ended"],
            extra={"brand_new": 1},
        ),
        {
            "type": "phone",
            "params": {
                "to_number": "+15550100022",
                "from_number": "+15550100011",
                "timeout": 25,
                "confirm": "https://app.example.test/confirm",
                "confirm_timeout": 10,
                "call_state_url": STATUS,
                "call_state_events": ["answered", "ended"],
                "brand_new": 1,
            },
        },
    ),
    (
        devices.fabric("/public/desk", "/private/me", timeout=5, confirm=[{"play": "x"}]),
        {
            "type": "fabric",
            "params": {"to": "/public/desk", "from": "/private/me", "timeout": 5, "confirm": [{"play": "x"}]},
        },
    ),
    (
        devices.sip(
            "sip:desk@example.test",
            "sip:me@example.test",
            from_name="Me",
            timeout=20,
            headers={"X-Order": "7781"},
            codecs=["opus", "PCMU"],
            encryption="mandatory",
            webrtc_media=False,
            username="me",
            password="hush",
            session_timeout=600,
        ),
        {
            "type": "sip",
            "params": {
                "to": "sip:desk@example.test",
                "from": "sip:me@example.test",
                "from_name": "Me",
                "timeout": 20,
                "headers": [{"name": "X-Order", "value": "7781"}],
                "codecs": ["OPUS", "PCMU"],
                "encryption": "mandatory",
                "webrtc_media": False,
                "username": "me",
                "password": "hush",
                "session_timeout": 600,
            },
        },
    ),
    (
        devices.sip("sip:a@example.test", headers=[{"name": "X-A", "value": "1"}, {"name": "X-A", "value": "2"}]),
        {
            "type": "sip",
            "params": {
                "to": "sip:a@example.test",
                "headers": [{"name": "X-A", "value": "1"}, {"name": "X-A", "value": "2"}],
            },
        },
    ),
    (devices.call("3f8e", "b4d2@use1"), {"type": "call", "params": {"call_id": "3f8e", "node_id": "b4d2@use1"}}),
    (
        devices.queue("support", "b4d2@use1", queue_id="2c9d", execute_after_queue="https://app.example.test/after"),
        {
            "type": "queue",
            "params": {
                "queue_name": "support",
                "node_id": "b4d2@use1",
                "queue_id": "2c9d",
                "execute_after_queue": "https://app.example.test/after",
            },
        },
    ),
    (
        devices.stream(
            "wss://media.example.test/both",
            name="assist",
            codec="l16@24000h@40i",
            realtime=True,
            status_url=STATUS,
            status_url_method="get",
            authorization_bearer_token="Bearer abc",
            custom_parameters={"ticket": "7781"},
        ),
        {
            "type": "stream",
            "params": {
                "url": "wss://media.example.test/both",
                "name": "assist",
                "codec": "L16@24000h@40i",
                "realtime": True,
                "status_url": STATUS,
                "status_url_method": "GET",
                "authorization_bearer_token": "abc",
                "custom_parameters": {"ticket": "7781"},
            },
        },
    ),
]


@pytest.mark.parametrize(("made", "wanted"), MADE)
def test_the_wire_s_form(made: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert made == wanted


BAD: list[tuple[Callable[[], object], str]] = [
    (lambda: devices.phone(""), "to"),
    (lambda: devices.phone("+1", 5), "from_"),  # type: ignore[arg-type]
    (lambda: devices.phone("+1", timeout=-1), "timeout"),
    (lambda: devices.phone("+1", timeout=2.5), "timeout"),  # type: ignore[arg-type]
    (lambda: devices.phone("+1", confirm="now"), "confirm"),
    (lambda: devices.phone("+1", call_state_events=["dead"]), "call_state_events"),
    (lambda: devices.phone("+1", call_state_url="me"), "call_state_url"),
    (lambda: devices.phone("+1", extra={"timeout": 4}), "extra"),
    (lambda: devices.sip("sip:a@b.example", encryption="maybe"), "encryption"),
    (lambda: devices.sip("sip:a@b.example", codecs=["MP3"]), "codecs"),
    (lambda: devices.sip("sip:a@b.example", headers={"X-A": 5}), "headers"),  # type: ignore[arg-type]
    (lambda: devices.sip("sip:a@b.example", headers={"X-A": "1\r\nTo: you"}), "headers"),
    (lambda: devices.sip("sip:a@b.example", headers=[{"name": "X-A"}]), "headers"),
    (lambda: devices.sip("sip:a@b.example", headers="X-A: 1"), "headers"),  # type: ignore[arg-type]
    (lambda: devices.call("", "n"), "call_id"),
    (lambda: devices.queue("support", ""), "node_id"),
    (lambda: devices.stream("ws://media.example.test"), "url"),
    (lambda: devices.stream("wss://media.example.test", realtime=1), "realtime"),  # type: ignore[arg-type]
    (lambda: devices.stream("wss://media.example.test", codec="L16@2c"), "codec"),
    (lambda: devices.stream("wss://media.example.test", codec="silk"), "codec"),
    (lambda: devices.stream("wss://media.example.test", custom_parameters=[]), "custom_parameters"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize("number", range(len(BAD)))
def test_what_cannot_be_right(number: int) -> None:
    build, parameter = BAD[number]
    with pytest.raises(InvalidParameter) as caught:
        build()
    assert caught.value.parameter == parameter
