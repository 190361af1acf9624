"""Programs for the official SDK, each a way of using it; ``python official.py NAME`` runs one against what the environment names.

They write what they saw as lines of JSON. Run by the tests as processes of their own: the SDK allows one client per process,
and sets up logging when it is imported.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

from signalwire.relay import Call, Message, RelayClient, RelayError

PATIENCE = 30.0
DESK = "+15550100"


def tell(**seen: Any) -> None:
    print(json.dumps(seen), flush=True)


def phone(number: str) -> dict[str, Any]:
    return {"type": "phone", "params": {"to_number": number, "from_number": DESK, "timeout": 20}}


async def next_call(client: RelayClient) -> Call:
    calls: asyncio.Queue[Call] = asyncio.Queue()
    client.on_call(calls.put)
    await client.connect()
    return await asyncio.wait_for(calls.get(), PATIENCE)


async def inbound(client: RelayClient) -> None:
    """Answer, play, collect, record, stream, hang up."""
    call = await next_call(client)
    tell(direction=call.direction, state=call.state, device=call.device)
    await call.answer()
    await call.wait_for_answered(PATIENCE)
    played = await (await call.play_tts("Welcome")).wait(PATIENCE)
    tell(played=played.params["state"])
    collected = await (await call.collect(digits={"max": 6, "terminators": "#"})).wait(PATIENCE)
    tell(collected=collected.params["result"])
    recorded = await (await call.record({"format": "wav", "end_silence_timeout": 1})).wait(PATIENCE)
    tell(recorded=recorded.params["state"], format=recorded.params["record"]["audio"]["format"])
    stream = await call.stream(os.environ["STREAM_URL"], codec="PCMU", custom_parameters={"ticket": "7781"})
    await asyncio.to_thread(sys.stdin.readline)  # the receiver has heard enough
    await stream.stop()
    tell(streamed=(await stream.wait(PATIENCE)).params["state"])
    await call.hangup("busy")
    tell(ended=(await call.wait_for_ended(PATIENCE)).params["end_reason"])


async def hung_up(client: RelayClient) -> None:
    """The caller is quicker."""
    call = await next_call(client)
    await call.answer()
    await call.play_silence(600)
    tell(ended=(await call.wait_for_ended(PATIENCE)).params["end_reason"])
    tell(after=await call.hangup())


async def dial(client: RelayClient) -> None:
    """Two at once, one after the other, nobody."""
    await client.connect()
    call = await client.dial([[phone("+15550101"), phone("+15550102")]], dial_timeout=PATIENCE)
    tell(won=call.device["params"]["to_number"], state=call.state)
    found = await (await call.detect_answering_machine(timeout=PATIENCE)).wait(PATIENCE)
    tell(detected=found.params["detect"])
    await call.hangup()
    await call.wait_for_ended(PATIENCE)
    call = await client.dial([[phone("+15550103")], [phone("+15550104")]], dial_timeout=PATIENCE)
    tell(won=call.device["params"]["to_number"])
    await call.hangup()
    await call.wait_for_ended(PATIENCE)
    try:
        await client.dial([[phone("+15550103")]], dial_timeout=PATIENCE)
    except RelayError as error:
        tell(failed=type(error).__name__)


async def messages(client: RelayClient) -> None:
    """Send two, one of which does not arrive, and receive one."""
    received: asyncio.Queue[Message] = asyncio.Queue()
    client.on_message(received.put)
    await client.connect()
    for number in ("+15550101", "+15550102"):
        sent = await client.send_message(to_number=number, from_number=DESK, body="hello", tags=["x"])
        tell(sent=number, state=sent.state)
        end = await sent.wait(PATIENCE)
        tell(message=end.params["message_state"], reason=sent.reason)
    message = await asyncio.wait_for(received.get(), PATIENCE)
    tell(received=message.body, sender=message.from_number, media=message.media)


async def refusals(client: RelayClient) -> None:
    """What the server refuses, and a call that is gone."""
    call = await next_call(client)
    await call.answer()
    try:
        await call.play([{"type": "tts", "params": {"text": "hello"}}])
    except RelayError as error:
        tell(code=error.code, message=error.message)
    tell(gone=await call.denoise())
    await call.hangup()


async def resumes(client: RelayClient) -> None:
    """The socket is cut while a call is on: the session and the call go on."""
    running = asyncio.create_task(client._run_forever())
    calls: asyncio.Queue[Call] = asyncio.Queue()
    client.on_call(calls.put)
    call = await asyncio.wait_for(calls.get(), PATIENCE)
    await call.answer()
    tell(answered=True)
    await asyncio.to_thread(sys.stdin.readline)  # cut, and back
    tell(played=(await (await call.play_tts("still here")).wait(PATIENCE)).params["state"])
    await call.hangup()
    await call.wait_for_ended(PATIENCE)
    await client.disconnect()
    await asyncio.wait([running])


async def verbs(client: RelayClient) -> None:
    """Whatever it is told to call, line by line; the last line is empty."""
    call = await next_call(client)
    while line := (await asyncio.to_thread(sys.stdin.readline)).strip():
        verb, args, kwargs = json.loads(line)
        try:
            await getattr(call, verb)(*args, **kwargs)
            tell(verb=verb)
        except RelayError as error:
            tell(verb=verb, code=error.code, message=error.message)


PROGRAMS = {program.__name__: program for program in (inbound, hung_up, dial, messages, refusals, resumes, verbs)}


async def main(name: str) -> None:
    client = RelayClient(contexts=["default"])
    try:
        await PROGRAMS[name](client)
    finally:
        await client.disconnect()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
