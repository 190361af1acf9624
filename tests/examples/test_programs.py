"""Every example runs against the simulator by one command, ends by itself and prints what it promises."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import wave
from typing import IO

import pytest

from tests.support import ROOT

EXAMPLES = ROOT / "examples"

PRINTED = {
    "stream_to_wav": ["8.1 s of the caller in call.wav; the stream was stopped"],
    "stop_early": ["16000 bytes of PCM; the call is answered", "the call ended: hangup"],
    "on_completed": ["stream 'copy' is over: finished"],
    "several_streams": ["audio/x-mulaw 8000 Hz: 8000 bytes", "audio/x-L16 16000 Hz: 16000 bytes"],
    "plain_script": ["the stream ended: finished", "the call ended: hangup"],
    "level_meter": [
        " 1.0 s  -23 dB ##################",
        " 2.0 s  -21 dB ###################",
        " 3.0 s  -23 dB ##################",
        " 4.0 s  -22 dB ###################",
        " 5.0 s  -23 dB ###################",
        " 6.0 s  -22 dB ###################",
        " 7.0 s  -25 dB #################",
        " 8.0 s  -21 dB ###################",
        "the stream was stopped",
    ],
    "transcription_hook": [
        *(f"{number * 1.5:4.1f} s: 48000 bytes of speech" for number in range(5)),
        " 7.5 s: 18560 bytes of speech",
        "transcribed",
    ],
    "record_all": ["calls: 2 channels, 8.1 s"] * 3,
    "echo": ["8.1 s were echoed to the caller; the stream was stopped"],
    "voice_menu": ["key 9 during the prompt", "key 1 during the prompt", "the caller wants opening hours"],
    "ivr": [
        "+15550190 asks for the opening hours",
        "+15550190: call over",
        "+15550191 left a message of 7 s",
        "+15550191: call over",
        "+15550192 talks to +15550102",
        "+15550192: call over",
        "+15550102 does not answer",
        "+15550193 left a message of 7 s",
        "+15550193: call over",
        "+15550194: call over",
    ],
    "campaign": [
        "who    answered     outcome",
        "Ann    +15550101    person: confirmed",
        "Bob    +15550102    machine: message left",
        "Cleo   -            not reached: busy",
        "Dan    -            not reached: noAnswer",
        "Eve    -            not reached: timeout",
        "Finn   +15550106    person: hung up",
    ],
    "sms": [
        "+15550101: delivered",
        "+15550102: undelivered (not a mobile number)",
        "+15550103: no final status",
        "+15550199: 'hours' -> 'We are here from nine to five.': delivered",
        "+15550199: 'hello?' -> 'Text HOURS or STOP.': delivered",
    ],
    "status_webhook": ["webhook: calling.call.stream streaming", "webhook: calling.call.stream finished"],
}


def run(
    name: str, folder: pathlib.Path, *options: str, timeout: float, stdout: int | IO[str] = subprocess.PIPE
) -> subprocess.CompletedProcess[str]:
    """An example with the simulator, in a process of its own.

    :param options: of Python. :param timeout: seconds, after which it is killed, and the test fails.
    """
    return subprocess.run(
        [sys.executable, *options, str(EXAMPLES / f"{name}.py"), "--simulate"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(EXAMPLES.parent)},
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=timeout,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", PRINTED)
def test_the_example_runs_and_ends(name: str, tmp_path: pathlib.Path) -> None:
    done = run(name, tmp_path, timeout=50)
    assert (done.returncode, done.stdout.splitlines()) == (0, PRINTED[name]), done.stderr
    assert "Traceback" not in done.stderr
    if name == "stream_to_wav":
        with wave.open(str(tmp_path / "call.wav")) as wav:
            assert (wav.getnchannels(), wav.getframerate(), wav.getsampwidth()) == (2, 8000, 2)
            assert abs(wav.getnframes() - 8000 * 8.08) < 800


#: Runs an example that gets one SIGINT as soon as its client is connected.
INTERRUPTED = """
import os, runpy, signal, sys, threading
from relay_sync.simulator import Simulator
start = Simulator.start
def started(self):
    start(self)
    threading.Thread(target=interrupt, args=(self,), daemon=True).start()
    return self
def interrupt(simulator):
    simulator.wait_for_client(timeout=30)
    os.kill(os.getpid(), signal.SIGINT)
Simulator.start = started
sys.path.insert(0, os.path.dirname(sys.argv[1]))
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
#: Seconds that an example may take at most on a busy machine, far less than its longest wait (30).
AT_ONCE = 15


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals cannot be sent to one process there")
@pytest.mark.parametrize("name", [*PRINTED, "stream_call"])
def test_one_ctrl_c_ends_the_example(name: str, tmp_path: pathlib.Path) -> None:
    done = run(name, tmp_path, "-c", INTERRUPTED, timeout=AT_ONCE)
    # stream_call ends as client.run() does, and with 1 if its call had not come yet.
    assert done.returncode in ((0, 1) if name == "stream_call" else (130,)), done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no such device here")
@pytest.mark.parametrize("name", [*PRINTED, "stream_call"])
def test_the_example_ends_where_nothing_can_be_printed(name: str, tmp_path: pathlib.Path) -> None:
    with open("/dev/full", "w") as full:
        done = run(name, tmp_path, "-u", timeout=AT_ONCE, stdout=full)
    assert "No space left on device" in done.stderr
    assert "WaitTimeout" not in done.stderr
