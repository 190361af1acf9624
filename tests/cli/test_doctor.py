"""``relay-sync doctor``: what it says of good and bad configurations, and that it says no secrets."""

from __future__ import annotations

import queue
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from relay_sync import Call, RelayClient
from relay_sync.cli import checkup, main
from relay_sync.cli.arguments import build_parser
from relay_sync.cli.doctor import diagnose
from relay_sync.simulator import Simulator
from tests.support import PATIENCE
from tests.support.lines import FROM, TO
from tests.support.tls import tls_context

Doctor = Callable[..., tuple[int, str]]


@pytest.fixture
def doctor(
    account: Simulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Doctor:
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str]:
        code = main(["doctor", *arguments])
        told = capsys.readouterr()
        assert account.settings.token not in told.out + told.err
        return code, told.out + told.err

    return run


def test_a_good_configuration(doctor: Doctor, sim: Simulator) -> None:
    code, told = doctor()
    assert code == 0, told
    lines = [" ".join(line.split()) for line in told.splitlines()]
    assert f"host {sim.url} $SIGNALWIRE_SPACE" in lines
    assert f"project {sim.settings.project} $SIGNALWIRE_PROJECT_ID" in lines
    assert f"token set, {len(sim.settings.token)} characters $SIGNALWIRE_API_TOKEN" in lines
    assert "contexts none default" in lines
    assert "ok name: 127.0.0.1 resolves to 127.0.0.1" in lines
    assert any(line.startswith("ok credentials: accepted") for line in lines)
    assert any(line.startswith("ok command: ping answered") for line in lines)
    assert any(line.startswith("note contexts: none") for line in lines)
    assert lines[-1] == "No problems found."
    sim.wait_until_gone()


def test_a_program_that_runs_its_client_by_itself_does_not_hold_it_up(doctor: Doctor, tmp_path: Path) -> None:
    (tmp_path / "undoctored.py").write_text(
        "from relay_sync import RelayClient\nclient = RelayClient()\nclient.run()\n", encoding="utf-8"
    )
    code, told = doctor("undoctored:client")
    assert code == 2
    assert "put client.run() below if __name__ ==" in told


def test_a_program_that_exits_on_import_is_a_failure(doctor: Doctor, tmp_path: Path) -> None:
    (tmp_path / "undoctored_exit.py").write_text("import sys\n\nsys.exit(0)\n", encoding="utf-8")
    code, told = doctor("undoctored_exit:client")
    assert code == 1
    assert "undoctored_exit:client cannot be loaded: the program exits (SystemExit: 0)" in told


def test_a_program_s_client_is_examined(doctor: Doctor, sim: Simulator, tmp_path: Path) -> None:
    (tmp_path / "doctored.py").write_text(
        "from relay_sync import RelayClient\nclient = RelayClient(contexts=['sales', 'help'])\n", encoding="utf-8"
    )
    code, told = doctor("doctored:client")
    assert code == 0
    assert "sales, help" in told
    assert "argument" in told


def test_calls_do_not_come_to_the_command(doctor: Doctor, sim: Simulator, tmp_path: Path) -> None:
    """They are for the program, which may be running: here, they would be hung up when the checks end."""
    (tmp_path / "doctored_taker.py").write_text(
        "from relay_sync import RelayClient\nclient = RelayClient(contexts=['sales'])\n"
        "@client.on_call\ndef handle(call):\n    call.answer()\n    call.wait_for_ended()\n",
        encoding="utf-8",
    )
    phone = sim.call(to=TO, from_=FROM, context="sales")
    code, told = doctor("doctored_taker:client")
    assert code == 0
    assert "receives inbound calls of: sales" in told
    sim.wait_until_gone()
    assert phone.state == "created"
    calls: queue.SimpleQueue[Call] = queue.SimpleQueue()
    running = RelayClient(contexts=["sales"])
    running.on_call(calls.put)
    with running:
        assert calls.get(timeout=PATIENCE).call_id == phone.call_id
        phone.hang_up()


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("SIGNALWIRE_API_TOKEN", "PTwrong-and-secret", ["BAD   credentials: ", "scopes"]),
        (
            "SIGNALWIRE_API_TOKEN",
            "",
            ["BAD   configuration: Invalid token=None", "SIGNALWIRE_API_TOKEN", "simulate --show-tokens"],
        ),
        ("SIGNALWIRE_SPACE", "no-such-name.invalid", ["BAD   name: no-such-name.invalid", "spelling"]),
        ("SIGNALWIRE_SPACE", "a b", ["BAD   configuration: ", "host"]),
    ],
)
def test_what_is_wrong_and_what_to_do(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: list[str]
) -> None:
    monkeypatch.setenv(variable, value)
    code, told = doctor("--timeout", "5")
    assert code == 1
    for text in said:
        assert text in told
    assert "PTwrong" not in told
    assert "Traceback" not in told


def test_only_missing_credentials_are_answered_with_where_they_are(
    account: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    def make() -> RelayClient:
        return RelayClient(ping_interval=None)  # type: ignore[arg-type]

    assert diagnose(make, build_parser().parse_args(["doctor"])) == 1
    told = capsys.readouterr().out
    assert "ping_interval=None" in told
    assert "dashboard" not in told


@pytest.mark.parametrize("proxy", ["http://user:PTwrong@127.0.0.1:{port}", "nonsense://x"])
def test_behind_a_proxy_names_are_the_proxy_s_business(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch, closed_port: int, proxy: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy.format(port=closed_port))
    monkeypatch.setenv("SIGNALWIRE_SPACE", "no-such-name.invalid")
    code, told = doctor("--timeout", "5")
    assert code == 1
    shown = f"http://127.0.0.1:{closed_port} $HTTPS_PROXY" if "{port}" in proxy else "cannot be used"
    assert f"proxy {shown}" in " ".join(told.split())
    assert "ok    name: no-such-name.invalid is resolved by the proxy" in told
    assert "BAD   TLS and upgrade: " in told
    assert "PTwrong" not in told


def test_a_certificate_that_is_not_trusted(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    context = tls_context()
    with Simulator(ssl_context=context) as secured:
        monkeypatch.setenv("SIGNALWIRE_SPACE", secured.credentials["host"])
        code, told = doctor()
    assert code == 1
    assert "BAD   TLS and upgrade: " in told
    assert "-> check the spelling of host; ca_file (SIGNALWIRE_RELAY_CA_FILE)" in told


def test_nobody_listens(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("SIGNALWIRE_SPACE", f"ws://127.0.0.1:{free.getsockname()[1]}")
    code, told = doctor()
    assert code == 1
    assert "BAD   upgrade: " in told
    assert "refused" in told
    assert "-> is a server running at that address?" in told
    assert "problem found (see above)." in told
    assert "credentials" not in told  # it could only say the same again


def test_somebody_listens_and_says_nothing(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("SIGNALWIRE_SPACE", f"ws://127.0.0.1:{silent.getsockname()[1]}")
        code, told = doctor("--timeout", "0.3")
    assert code == 1
    assert "BAD   upgrade: " in told


def test_a_test_call_shows_whether_audio_arrives(doctor: Doctor, sim: Simulator) -> None:
    sim.expect_phone(TO, answers_after=0.01, says=b"\x00\x20\x00\xe0" * 8000 * 4)
    code, told = doctor("--call", TO, "--from", FROM)
    assert code == 0, told
    assert f"ok    test call: {TO} was answered" in told
    assert "ok    test stream: 3.0 s of audio/x-mulaw at 8000 Hz received" in told


def test_a_test_call_with_only_silence_is_a_problem(doctor: Doctor, sim: Simulator) -> None:
    sim.expect_phone(TO, answers_after=0.01, says=bytes(16000 * 4))
    code, told = doctor("--call", TO, "--from", FROM)
    assert code == 1
    assert "BAD   test stream: 3.0 s of audio/x-mulaw at 8000 Hz received, but only silence" in told
    assert "1 problem found (see above)." in told
    assert "No problems" not in told


def test_a_test_call_that_nobody_takes(doctor: Doctor, sim: Simulator) -> None:
    sim.expect_phone(TO, busy=True)
    code, told = doctor("--call", TO, "--from", FROM)
    assert code == 1
    assert "BAD   test call: " in told
    assert "busy" in told


@pytest.mark.parametrize("arguments", [("--timeout", "0"), ("--timeout", "nan"), ("--call", TO), ("nonsense",)])
def test_arguments_that_cannot_be_right(doctor: Doctor, arguments: tuple[str, ...]) -> None:
    code, told = doctor(*arguments)
    assert code == 2
    assert "error: argument" in told


@pytest.mark.parametrize(
    ("variable", "value", "what"),
    [("SIGNALWIRE_API_TOKEN", "", "configuration"), ("SIGNALWIRE_API_TOKEN", "PTwrong", "credentials")],
)
def test_what_is_bad_is_on_stderr_too(
    doctor: Doctor,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    variable: str,
    value: str,
    what: str,
) -> None:
    monkeypatch.setenv(variable, value)
    assert main(["doctor"]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == f"relay-sync doctor: problems found: {what}"


def test_it_says_what_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGNALWIRE_PROJECT_ID", "p")
    monkeypatch.setenv("SIGNALWIRE_API_TOKEN", "secret")
    monkeypatch.setenv("SIGNALWIRE_JWT_TOKEN", "a.b.c")
    monkeypatch.setenv("SIGNALWIRE_RELAY_SCHEME", "wss")
    given = RelayClient(project="p", token="t", host="x.example", request_timeout=3)
    rows = {name: (value, origin) for name, value, origin in checkup.values(given._link.config)}
    assert rows["jwt_token"] == ("set, not used: project or token is an argument", "$SIGNALWIRE_JWT_TOKEN")
    assert rows["token"] == ("set, 1 characters", "argument")
    assert rows["request_timeout"] == ("3.0", "argument")
    assert rows["connect_timeout"] == ("30.0", "default")
    assert rows["scheme"] == ("wss", "$SIGNALWIRE_RELAY_SCHEME")
    rows = {name: (value, origin) for name, value, origin in checkup.values(RelayClient(host="x.example")._link.config)}
    assert rows["jwt_token"] == ("set, 5 characters", "$SIGNALWIRE_JWT_TOKEN")
    assert rows["token"] == ("set, 6 characters, not used: jwt_token is", "$SIGNALWIRE_API_TOKEN")
