"""Rows of the table of verbs: bridges, transfers, conferences, rooms, queues."""

from __future__ import annotations

from relay_sync import devices
from tests.support.verbs.row import STATUS, Row, full_row

ROUTING = [
    Row(
        name="connect",
        args=([[{"type": "phone", "params": {"to_number": "+15550100022", "from_number": "+15550100011"}}]],),
        method="calling.connect",
        params={
            "devices": [[{"type": "phone", "params": {"to_number": "+15550100022", "from_number": "+15550100011"}}]]
        },
    ),
    full_row(
        "connect-all",
        method="calling.connect",
        passed={
            "ringback": [{"type": "ringtone", "params": {"name": "us"}}],
            "tag": "agent-leg",
            "max_duration": 30,
            "max_price_per_minute": 0.05,
            "send_digits": "w1",
            "timeout": 45.5,
            "status_url": STATUS,
        },
        given={
            "devices": [
                [devices.phone("+15550100022", "+15550100011", timeout=20), devices.sip("sip:desk@example.test")],
                [devices.stream("wss://media.example.test/both", realtime=True)],
            ]
        },
        sent={
            "devices": [
                [
                    {
                        "type": "phone",
                        "params": {"to_number": "+15550100022", "from_number": "+15550100011", "timeout": 20},
                    },
                    {"type": "sip", "params": {"to": "sip:desk@example.test"}},
                ],
                [{"type": "stream", "params": {"url": "wss://media.example.test/both", "realtime": True}}],
            ]
        },
    ),
    Row(name="disconnect", method="calling.disconnect"),
    full_row("disconnect-all", method="calling.disconnect", passed={"reason": "done"}),
    full_row(
        "refer",
        method="calling.refer",
        passed={"device": {"type": "sip", "params": {"to": "sip:bob@example.test"}}, "status_url": STATUS},
    ),
    full_row("transfer", method="calling.transfer", passed={"dest": "https://app.example.test/swml"}),
    Row(name="hold", method="calling.hold"),
    Row(name="unhold", method="calling.unhold"),
]

IN_QUEUE = {
    "id": "2c9d",
    "name": "support",
    "position": 1,
    "size": 2,
    "avg_time": 0,
    "enqueue_ts": 1767225610200000,
    "dequeue_ts": 0,
    "leave_ts": 0,
    "status_url": "",
}
CONFERENCE = [
    Row(name="join_conference", args=("weekly",), method="calling.join_conference", params={"name": "weekly"}),
    full_row(
        "join_conference-all",
        method="calling.join_conference",
        passed={
            "name": "weekly",
            "muted": True,
            "beep": "onEnter",
            "start_on_enter": False,
            "end_on_exit": True,
            "wait_url": "https://app.example.test/wait",
            "max_participants": 250,
            "record": "record-from-start",
            "region": "eu",
            "trim": "do-not-trim",
            "coach": "3f8e",
            "acl": "private",
            "emit_call_quality": True,
            "status_callback": STATUS,
            "status_callback_event": "start end join leave",
            "status_callback_event_type": "relay",
            "recording_status_callback": STATUS,
            "recording_status_callback_event": "completed",
            "recording_status_callback_event_type": "cxml",
            "recording_status_callback_method": "GET",
        },
        given={
            "status_callback_method": "post",
            "stream_obj": devices.stream("wss://media.example.test/conference", codec="L16@16000h"),
        },
        sent={
            "status_callback_method": "POST",
            "stream": {"url": "wss://media.example.test/conference", "codec": "L16@16000h"},
        },
    ),
    full_row("leave_conference", method="calling.leave_conference", passed={"conference_id": "d7e3"}),
    full_row("join_room", method="calling.join_room", passed={"name": "standup", "status_url": STATUS}),
    Row(name="leave_room", kwargs={"extra": {"brand_new": 1}}, method="calling.leave_room", params={"brand_new": 1}),
    Row(
        name="queue_enter",
        args=("support",),
        method="calling.queue.enter",
        params={"queue_name": "support"},
        kind="QueueAction",
        events=(
            ("calling.call.queue", {**IN_QUEUE, "status": "enqueue"}),
            ("calling.call.queue", {**IN_QUEUE, "status": "stats"}),
            ("calling.call.queue", {**IN_QUEUE, "status": "dequeue", "position": 0, "size": 1}),
        ),
        shows={"was_dequeued": True, "queue_id": "2c9d", "queue_name": "support", "position": 0, "size": 1},
    ),
    full_row(
        "queue_enter-all",
        method="calling.queue.enter",
        passed={
            "queue_name": "support",
            "control_id": "Q1",
            "wait_url": "https://app.example.test/wait",
            "wait_time": 60,
            "whisper_url": "https://app.example.test/whisper",
            "execute_after_queue": "https://app.example.test/after",
            "status_url": STATUS,
        },
        kind="QueueAction",
        events=(("calling.call.queue", {**IN_QUEUE, "status": "leave", "position": 0}),),
        shows={"was_dequeued": False},
    ),
    full_row(
        "queue_leave",
        method="calling.queue.leave",
        passed={
            "queue_name": "support",
            "control_id": "Q1",
            "queue_id": "2c9d",
            "status_url": STATUS,
        },
    ),
]
