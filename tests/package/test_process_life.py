"""Life and death of whole processes: signals in every wait, hosts that fork, gevent, ends without a goodbye."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest

from relay_sync import Call, DialFailed, RelayClient
from relay_sync.simulator import Simulator
from tests.support import PATIENCE, ROOT
from tests.support.hosting import environment, started
from tests.support.lines import NOWHERE

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and forks as POSIX has them")


def run(program: str, *arguments: str, timeout: float = 120.0, **more: str) -> subprocess.CompletedProcess[str]:
    """A program in a process of its own, which finds the helpers of the tests."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        env={**os.environ, "PYTHONPATH": path, **more},
    )


# -- one signal ends any wait --------------------------------------------------------------------------------------------

WAITS = """
import os, signal, socket, sys, threading
from tests.support.background import Background
from tests.support.lines import line, FROM, NOWHERE, TO
from relay_sync import RelayClient
from relay_sync.audio import AudioServer
from relay_sync.rest import RestClient
from relay_sync.simulator import Simulator

class Asked(BaseException): pass

def asked(number, frame):
    raise Asked

signalled = getattr(signal, sys.argv[1])
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs inherit "ignored"
if signalled is signal.SIGTERM:
    signal.signal(signalled, asked)

gate = threading.Event()
hole = socket.create_server(("127.0.0.1", 0))  # whoever comes gets no answer
nobody = f"ws://127.0.0.1:{hole.getsockname()[1]}"
with Simulator(media="realtime") as sim, line(sim) as one, AudioServer() as audio, AudioServer() as empty:
    call, client = one.call, one.client
    other = RelayClient(**sim.credentials)
    stuck = RelayClient(**sim.credentials, on_state=lambda state: gate.wait(60))
    stuck.connect()
    deaf = RelayClient(**{**sim.credentials, "host": nobody})
    rest = RestClient(**{**sim.credentials, "host": nobody})
    sim.expect_phone("+15550177", answers_after=None)
    sim.drop_event("messaging.state", times=None)
    message = client.send_message(to_number=TO, from_number=FROM, body="x")
    action = call.play_silence(600)
    stream = audio.connect(call)
    sim.drop_reply("calling.denoise", times=None)

    def expect():
        with call.expect("calling.x.y", timeout=60):
            pass

    def read_all():
        for frame in stream:
            pass

    waits = {
        "connect": lambda: deaf.connect(60),
        "wait_until_ready": lambda: deaf.wait_until_ready(60),
        "run": other.run,
        "execute": lambda: client.execute("calling.denoise", {"call_id": call.call_id, "node_id": call.node_id}, timeout=60),
        "verb": call.denoise,
        "action.wait": action.wait,
        "wait_for": lambda: call.wait_for("calling.x.y"),
        "wait_for_ended": call.wait_for_ended,
        "wait_for_ending": call.wait_for_ending,
        "expect": expect,
        "events": lambda: next(call.events()),
        "dial": lambda: client.dial(to="+15550177", from_=FROM),
        "message.wait": message.wait,
        "accept": empty.accept,
        "iteration": read_all,
        "read": lambda: stream.read(29),
        "read_frame": lambda: list(iter(stream.read_frame, None)),
        "read_dtmf": stream.read_dtmf,
        "read_mark": stream.read_mark,
        "stream.wait": stream.wait,
        "play": lambda: stream.play(bytes(8000 * 2 * 60)),
        "rest command": lambda: rest.call("some").hangup(),
        "rest dial": lambda: rest.dial(to=TO, from_=FROM, url="https://x.test/swml"),
        "download": lambda: rest.download(nobody.replace("ws", "http") + "/r.wav", os.devnull + ".wav"),
        "disconnect": lambda: stuck.disconnect(60),
        "drain": lambda: client.drain(60),
    }
    for name, wait in waits.items():
        timer = threading.Timer(0.15, os.kill, (os.getpid(), signalled))
        timer.start()
        try:
            wait()
            print(name, "returned", flush=True)
        except (KeyboardInterrupt, Asked):
            print(name, "interrupted", flush=True)
        except Exception as error:
            print(name, repr(error), flush=True)
        timer.join()
    client.execute("signalwire.ping")
    print("usable", flush=True)
    gate.set()
    for each in (other, stuck, deaf):
        each.disconnect()
    rest.close()
    one.phone.hang_up()
hole.close()
print("over", flush=True)
"""
NAMES = [
    *("connect", "wait_until_ready", "run", "execute", "verb", "action.wait", "wait_for", "wait_for_ended"),
    *("wait_for_ending", "expect", "events", "dial", "message.wait", "accept", "iteration", "read", "read_frame"),
    *("read_dtmf", "read_mark", "stream.wait", "play", "rest command", "rest dial", "download", "disconnect", "drain"),
]


@posix
@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_one_signal_ends_any_wait(name: str) -> None:
    """Ctrl-C, and a SIGTERM that a program has a handler for."""
    done = run(WAITS, name)
    told = dict(each.rsplit(" ", 1) for each in done.stdout.splitlines() if " " in each)
    expected = dict.fromkeys(NAMES, "interrupted")
    if name == "SIGINT":
        expected["run"] = "returned"  # which is what Ctrl-C means there
    assert told == expected, done.stdout + done.stderr
    assert done.stdout.endswith("usable\nover\n"), done.stderr


@posix
@pytest.mark.slow
@pytest.mark.parametrize("how", ["connected", "in a wait", "in run"])
def test_a_sigterm_that_nobody_handles_ends_the_process_at_once(how: str, sim: Simulator) -> None:
    program = """
import os, signal, sys, threading
from relay_sync import RelayClient
client = RelayClient(contexts=["default"])
client.connect()
print("ready", flush=True)
{"connected": threading.Event().wait, "in a wait": lambda: client.dial(to="+15550177", from_="+15550199"),
 "in run": client.run}[sys.argv[1]]()
"""
    sim.expect_phone("+15550177", answers_after=None)
    process = subprocess.Popen([sys.executable, "-c", program, how], stdout=subprocess.PIPE, env=environment(sim))
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        if how == "in a wait":
            sim.journal.wait_for(lambda entry: entry.method == "calling.dial", PATIENCE)
        process.send_signal(signal.SIGTERM)
        code = process.wait(PATIENCE)
    assert code in ((0, -signal.SIGTERM) if how == "in run" else (-signal.SIGTERM,))
    sim.wait_until_gone()


# -- ends without a goodbye ----------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("end", ["falls off", "sys.exit(3)", "raise RuntimeError", "thread"])
def test_the_interpreter_ends_with_live_calls(end: str, sim: Simulator) -> None:
    """Handlers that block, a stream, a lane that is stuck, and a main program that simply ends."""
    program = """
import sys, threading
from relay_sync import RelayClient
from relay_sync.audio import AudioServer
client = RelayClient(contexts=["default"])
audio = AudioServer().start()
started = threading.Event()

@client.on_call
def handle(call):
    call.answer()
    call.on("calling.x.y", lambda event: (started.set(), threading.Event().wait()))
    for frame in audio.listen(call, track="both"):
        if frame.timestamp > 0.1:
            print("talking", flush=True)
            break
    call.wait_for_ended()

client.connect()
print("ready", flush=True)
assert started.wait(30)
end = sys.argv[1]
if end == "thread":
    threading.Thread(target=client.execute, args=("signalwire.ping",)).start()
elif end != "falls off":
    exec(end)
"""
    with Simulator(media="realtime") as real:
        process = subprocess.Popen(
            [sys.executable, "-c", program, end],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(real),
        )
        with process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            phone = real.call(to="+15550100", from_="+15550199")
            assert process.stdout.readline() == "talking\n"
            real.send_event("calling.x.y", {"call_id": phone.call_id, "node_id": phone.node_id})
            _, complaints = process.communicate(timeout=PATIENCE * 3)
        assert process.returncode == {"sys.exit(3)": 3, "raise RuntimeError": 1}.get(end, 0), complaints
        assert "Fatal Python error" not in complaints
        assert "Exception ignored" not in complaints, complaints
        assert "can't start new thread" not in complaints, complaints
        real.wait_until_gone(PATIENCE)


LATE: dict[str, Callable[[RelayClient, Call], object]] = {
    "calling.stream": lambda client, call: call.stream(NOWHERE),
    "calling.denoise": lambda client, call: call.denoise(),
    "calling.transfer": lambda client, call: call.transfer("context:other"),
    "calling.pass": lambda client, call: call.pass_(),
    "calling.dial": lambda client, call: client.dial(to="+15550178", from_="+15550199", dial_timeout=0.1),
    "messaging.send": lambda client, call: client.send_message(
        to_number="+15550177", from_number="+15550199", body="hello"
    ),
}


@pytest.mark.parametrize(
    "method", [pytest.param(each, marks=[] if each == "calling.denoise" else pytest.mark.slow) for each in LATE]
)
def test_a_forgotten_client_goes_in_the_middle_of_a_call_with_late_answers_due(sim: Simulator, method: str) -> None:
    """Commands whose callers gave up wait for their answers, and must not hold the client until they come."""
    client = RelayClient(**sim.credentials, contexts=["default"])
    sim.expect_phone("+15550177", answers_after=0.0)
    call = client.dial(to="+15550177", from_="+15550199", dial_timeout=PATIENCE)
    sim.expect_phone("+15550178", answers_after=None)
    sim.hold(method)
    with client.timeout(0.1), pytest.raises(DialFailed if method == "calling.dial" else TimeoutError):
        LATE[method](client, call)
    sim.wait_for_held(method)
    gone = weakref.ref(client)
    del client, call
    gc.collect()
    assert gone() is None
    sim.wait_until_gone(PATIENCE)


# -- hosts that fork -----------------------------------------------------------------------------------------------------

CELERY = """
import os
from celery import Celery
from celery.signals import worker_init
from relay_sync import RelayClient
from relay_sync.audio import AudioServer

here = os.path.dirname(os.path.abspath(__file__))
mail = os.path.join(here, "mail")
os.makedirs(mail, exist_ok=True)
app = Celery("tasks", broker="filesystem://")
app.conf.broker_transport_options = {
    "data_folder_in": mail, "data_folder_out": mail, "control_folder": os.path.join(here, "control"),
}
app.conf.worker_hijack_root_logger = False
client = RelayClient(contexts=[])  # of the module, as programs have it
log = open(os.environ["TEST_LOG"], "a", buffering=1)

@worker_init.connect
def parent(**_):
    client.connect()  # before the pool is forked
    log.write(f"parent {client.state}\\n")

@app.task
def ring(number):
    log.write(f"child {client.state}\\n")
    call = client.dial(to=number, from_="+15550199", dial_timeout=30)
    with AudioServer() as audio, audio.listen(call) as stream:
        heard = sum(stream.read_frame(30).samples for _ in range(10))
    call.hangup()
    call.wait_for_ended(30)
    log.write(f"heard {heard}\\n")
"""


@posix
@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_celery_prefork_worker(tmp_path: Path) -> None:
    """A task dials and listens with the module's client; the parent's connection, made before the fork, stays as it is."""
    (tmp_path / "tasks.py").write_text(CELERY, encoding="utf-8")
    with Simulator(media="fast") as sim:
        sim.expect_phone("+15550177", says=bytes(16000))
        command = ("-m", "celery", "-A", "tasks", "worker", "--pool", "prefork", "--concurrency", "2")
        quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat")
        with started(sim, tmp_path, *command, *quiet) as worker:
            worker.wait_for_lines(1)
            for _ in range(3):
                sent = subprocess.run(
                    [sys.executable, "-c", "import tasks; tasks.ring.delay('+15550177')"],
                    cwd=tmp_path,
                    env=environment(sim, TEST_LOG=os.devnull),
                    capture_output=True,
                    text=True,
                    check=False,
                    timeout=PATIENCE * 6,
                )
                assert sent.returncode == 0, sent.stderr
            worker.wait_for_lines(7)
            children = worker.lines.count("child idle")  # a child uses its client again for its next task
            connects = sim.journal.requests("signalwire.connect")
            assert len(connects) == sim.clients == 1 + children
            sim.ping()
            worker.terminate()
        assert worker.lines[0] == "parent connected"
        assert sorted(worker.lines[1:]) == [
            *["child connected"] * (3 - children),
            *["child idle"] * children,
            *["heard 1600"] * 3,
        ]
        assert not [each for each in connects if "protocol" in each["params"]], "somebody had to resume"
        sim.wait_until_gone(PATIENCE)


GEVENT = """
from gevent import monkey
monkey.patch_all()
import gevent, threading
from relay_sync import RelayClient, WaitTimeout
from relay_sync.audio import AudioServer
from relay_sync.simulator import Simulator

turns = 0

def tick():
    global turns
    while True:
        turns += 1
        gevent.sleep(0.005)

ticking = gevent.spawn(tick)
with Simulator(media="realtime") as sim, RelayClient(**sim.credentials, contexts=["default"]) as client:
    done = threading.Event()
    heard = []

    @client.on_call
    def handle(call):
        call.answer()
        with AudioServer() as audio, audio.listen(call) as stream:
            for frame in stream:
                heard.append(frame)
                if len(heard) >= 20:
                    break
        call.hangup()
        call.wait_for_ended(10)
        done.set()

    phone = sim.call(to="+15550100", from_="+15550199")
    assert done.wait(30)
    before = turns
    call = client.dial(to="+15550101", from_="+15550199", dial_timeout=30)
    try:
        call.wait_for("calling.x.y", timeout=0.2)
    except WaitTimeout:
        print("in time")
    action = call.play_silence(0.2)
    action.wait(10)
    sim.cut()
    client.wait_until_ready(30)
    client.execute("signalwire.ping")
    call.hangup()
    assert turns > before + 10, "other greenlets had no turn"
    print("frames", len(heard), "calls", len(client.calls) <= 1)
ticking.kill()
print("over")
"""


@posix
@pytest.mark.slow
def test_a_program_that_gevent_has_patched() -> None:
    """Connect, a call, a stream, waits, a drop, and an end in order; other greenlets go on meanwhile."""
    done = run(GEVENT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["in time", "frames 20 calls True", "over"], done.stderr
