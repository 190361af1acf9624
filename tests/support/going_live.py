"""The page on going live: ``python -m tests.support.going_live`` runs its scenes and writes what they printed into it.

Not a test. ``tests/docs/test_going_live.py`` compares the page with what the scenes print.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from relay_sync import RelayClient, RelayError
from relay_sync.audio import AudioServer
from relay_sync.simulator import Simulator
from relay_sync.testing import environment_of, variables_of
from relay_sync.webhooks import Webhooks
from tests.support import DATA, ROOT
from tests.support.commands import PATIENCE
from tests.support.front import Front, certified, edited
from tests.support.generators import rewrite
from tests.support.lines import FROM, TO
from tests.support.pages import blocks
from tests.support.ports import hold_port
from tests.support.scripted_http import Scripted, answer

__all__ = ["PAGE", "SCENES", "shown"]

PAGE: Final = ROOT / "docs" / "going-live.md"
#: What the page calls the ports that a run happens to use: of the proxy, and of the program.
PROXY: Final = 8443
PORTS: Final = range(8765, 8773)
#: Settings of the machine that runs a scene, which the page must not show.
_FOREIGN: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AUDIO_URL")
_STATUS: Final = (
    b'{"event_type": "calling.call.stream", "params": {"call_id": "c", "control_id": "s", "state": "streaming"}}'
)


def program() -> str:
    """The program of the README."""
    return blocks((ROOT / "README.md").read_text(encoding="utf-8"))[0]


@contextlib.contextmanager
def _variables(**variables: str | None) -> Iterator[None]:
    """Set environment variables, and remove those of the machine."""
    before = dict(os.environ)
    for name in [*_FOREIGN, *(each for each in os.environ if each.lower().endswith("_proxy"))]:
        os.environ.pop(name, None)
    for name, value in variables.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _doctor(folder: Path, *arguments: str, first: int = PORTS.start, proxy: int = 0) -> str:
    """What the doctor prints of the program, which takes its ports from ``first`` on."""
    text = program()
    ports = f"range({PORTS.start}, {PORTS.stop})"
    assert ports in text
    (folder / "answer.py").write_text(text.replace(ports, f"range({first}, {first + len(PORTS)})"), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "relay_sync", "doctor", *arguments],
        capture_output=True,  # apart, because what the program logs may come in the middle of a line
        text=True,
        encoding="utf-8",
        cwd=folder,
        env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8", "PYTHONPATH": str(ROOT)},
        timeout=PATIENCE,
        check=False,
    )
    told = done.stdout + re.sub(r"^rejected .*\n", "", done.stderr, flags=re.MULTILINE)
    for number, name in zip(range(first, first + len(PORTS)), PORTS, strict=True):
        told = re.sub(rf"\b{number}\b", str(name), told)
    return re.sub(rf"\b{proxy}\b", str(PROXY), told) if proxy else told


def _found(told: str, pattern: str) -> str:
    """The findings whose lines match, with the advice below them."""
    lines = told.splitlines(keepends=True)
    assert any(re.search(pattern, each) for each in lines), told
    return "".join(
        each
        for number, each in enumerate(lines)
        if re.search(pattern, each) or (each.lstrip().startswith("->") and re.search(pattern, lines[number - 1]))
    )


def _simulated(folder: Path, *arguments: str, find: str, **variables: str | None) -> str:
    with Simulator(media="fast") as sim, environment_of(sim), _variables(**variables):
        return _found(_doctor(folder, *arguments), find)


def _behind(folder: Path, front: Front, find: str) -> str:
    """What the doctor finds with TLS in front of the program."""
    variables = {"SSL_CERT_FILE": str(DATA / "tls" / "root.pem"), "AUDIO_URL": f"wss://localhost:{front.port}/{{port}}"}
    with Simulator() as sim, environment_of(sim), _variables(**variables), hold_port() as held, front:
        front.target = held.getsockname()[1]
        told = _doctor(folder, "answer:client", "--audio", first=front.target, proxy=front.port)
        return _found(told, find) if find else told


# -- scenes --------------------------------------------------------------------------------------------------------------


def no_credentials(folder: Path) -> str:
    with _variables(**dict.fromkeys(_names(), None)):
        return _doctor(folder, "answer:client")


def _names() -> list[str]:
    """The names of all settings."""
    with Simulator() as sim:
        return [*variables_of(sim)]


def wrong_token(folder: Path) -> str:
    return _simulated(folder, "answer:client", find="BAD", SIGNALWIRE_API_TOKEN="PT-of-another-project")


def no_number(folder: Path) -> str:
    return _simulated(folder, "answer:client", "--call", TO, find="error")


def no_context(folder: Path) -> str:
    return _simulated(folder, find="contexts:")


def another_context(folder: Path) -> str:
    """As the simulator logs it."""
    del folder
    told: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: told.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("relay_sync.simulator")
    logger.addHandler(handler)
    try:
        with Simulator() as sim, RelayClient(**sim.credentials, contexts=["support"]) as client:
            client.connect()
            sim.wait_for_client()
            sim.call(to=TO, from_=FROM)
    finally:
        logger.removeHandler(handler)
    return "".join(f"{each}\n" for each in told)


def no_public_address(folder: Path) -> str:
    with _variables(SIGNALWIRE_SPACE="your-space.invalid", SIGNALWIRE_PROJECT_ID="p", SIGNALWIRE_API_TOKEN="t"):
        with hold_port() as held:
            return _found(_doctor(folder, "answer:client", "--audio", first=held.getsockname()[1]), "BAD   audio")


def no_name(folder: Path) -> str:
    url = "wss://audio.example.invalid/{port}"
    return _simulated(folder, "answer:client", "--audio", find="BAD   audio", AUDIO_URL=url)


def no_tunnel(folder: Path) -> str:
    with hold_port() as held:
        port = held.getsockname()[1]
        url = f"wss://localhost:{port}/audio"
        told = _simulated(folder, "answer:client", "--audio", find="BAD   audio", AUDIO_URL=url)
        return told.replace(str(port), str(PROXY))


def nothing_behind_the_tunnel(folder: Path) -> str:
    with Scripted(answer(502)) as tunnel:
        url = f"{tunnel.host.replace('127.0.0.1', 'localhost')}/audio"
        told = _simulated(folder, "answer:client", "--audio", find="BAD   audio", AUDIO_URL=url)
        return re.sub(r"127\.0\.0\.1:\d+", f"127.0.0.1:{PORTS.start}", told)


def incomplete_chain(folder: Path) -> str:
    return _behind(folder, Front(context=certified("alone")), "BAD   audio")


def expired(folder: Path) -> str:
    return _behind(folder, Front(context=certified("expired")), "BAD   audio")


def another_name(folder: Path) -> str:
    return _behind(folder, Front(context=certified("other")), "BAD   audio")


def no_upgrade(folder: Path) -> str:
    return _behind(folder, Front(edited("Upgrade"), context=certified("full")), "BAD   audio")


def stripped_path(folder: Path) -> str:
    def strip(request: bytes) -> bytes:
        return re.sub(rb"^GET \S+", b"GET /", request)

    return _behind(folder, Front(strip, context=certified("full")), "BAD   audio")


def all_well(folder: Path) -> str:
    return _behind(folder, Front(context=certified("full")), "")


def no_signing_key(folder: Path) -> str:
    del folder
    with _variables(SIGNALWIRE_SIGNING_KEY=None):
        headers = {"Content-Type": "application/json", "X-SignalWire-Signature": "0" * 40}
        callback = Webhooks().parse("POST", "https://hooks.example.com/status", headers, _STATUS)
        said = f"verified: {callback.verified}, {callback.finding}\n"
        return said + _raised(lambda: Webhooks(strict=True))


def another_signing_key(folder: Path) -> str:
    del folder
    headers = {"Content-Type": "application/json", "X-SignalWire-Signature": "0" * 40}
    hooks = Webhooks(signing_key="the-api-token-instead", strict=True)
    return _raised(lambda: hooks.parse("POST", "https://hooks.example.com/status", headers, _STATUS))


def one_port_for_two(folder: Path) -> str:
    """Two processes with ``port=8765``."""
    del folder
    with AudioServer() as first:
        return _raised(AudioServer(port=first.port).start).replace(str(first.port), str(PORTS.start))


def placed_call(folder: Path) -> str:
    with Simulator(media="fast") as sim, environment_of(sim), _variables():
        sim.expect_phone(TO, answers_after=0.01, says=b"\x00\x20\x00\xe0" * 8000 * 4)
        return _found(_doctor(folder, "answer:client", "--call", TO, "--from", FROM), "test (call|stream):")


def _raised(function: Callable[[], object]) -> str:
    try:
        function()
    except (RelayError, OSError) as error:
        if isinstance(error, RelayError):
            return f"{type(error).__module__}.{type(error).__qualname__}: {error}\n"
        return f"OSError: {error.strerror}\n"  # its number differs between systems
    raise AssertionError("no error")


#: What prints each ``text`` block of the page, in order, and the line that is typed, or ``""``.
SCENES: Final[list[tuple[str, Callable[[Path], str]]]] = [
    ("relay-sync doctor answer:client", no_credentials),
    ("relay-sync doctor answer:client", wrong_token),
    (f"relay-sync doctor answer:client --call {TO}", no_number),
    ("relay-sync doctor", no_context),
    ("", another_context),
    ("relay-sync doctor answer:client --audio", no_public_address),
    ("relay-sync doctor answer:client --audio", no_name),
    ("relay-sync doctor answer:client --audio", no_tunnel),
    ("relay-sync doctor answer:client --audio", nothing_behind_the_tunnel),
    ("relay-sync doctor answer:client --audio", incomplete_chain),
    ("relay-sync doctor answer:client --audio", expired),
    ("relay-sync doctor answer:client --audio", another_name),
    ("relay-sync doctor answer:client --audio", no_upgrade),
    ("relay-sync doctor answer:client --audio", stripped_path),
    ("relay-sync doctor answer:client --audio", all_well),
    ("", no_signing_key),
    ("", another_signing_key),
    ("", one_port_for_two),
    (f"relay-sync doctor answer:client --call {TO} --from {FROM}", placed_call),
]


def shown(text: str) -> list[tuple[str, str]]:
    """The line that is typed and the output, by ``text`` block of the page."""
    found = []
    for block in blocks(text, "text"):
        first, _, rest = block.partition("\n")
        found.append((first.removeprefix("$ "), rest) if first.startswith("$ ") else ("", block))
    return found


def page() -> str:
    """The text of the page, from scenes that are run."""
    text = PAGE.read_text(encoding="utf-8")
    parts = re.split(r"(^```text\n.*?^```$)", text, flags=re.DOTALL | re.MULTILINE)
    assert len(parts) == 2 * len(SCENES) + 1, f"the page has {len(parts) // 2} blocks of text, for {len(SCENES)} scenes"
    for number, (typed, scene) in enumerate(SCENES):
        with tempfile.TemporaryDirectory() as folder:
            told = scene(Path(folder))
        print(f"{scene.__name__}\n{told}")
        parts[2 * number + 1] = f"```text\n{'$ ' + typed + chr(10) if typed else ''}{told}```"
    return "".join(parts)


if __name__ == "__main__":
    rewrite(PAGE, page)
