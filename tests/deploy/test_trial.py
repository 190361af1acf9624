"""The page on the simulator, from its steps with nginx and TLS: the setup for production works without an account."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import ssl
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from relay_sync.audio import read_wav
from tests.support import ROOT, deploy_files
from tests.support.hosting import PATIENCE, Started, launched
from tests.support.nginx import NAME, Places, machine, nginx
from tests.support.pages import blocks
from tests.support.ports import hold_port
from tests.support.tls import CERTIFICATE

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="nginx as Debian has it")]

PAGE: Final = (ROOT / "docs" / "simulate.md").read_text(encoding="utf-8")
SECTION: Final = PAGE.partition("\n## With nginx and TLS\n")[2].partition("\n## ")[0]
PREPARE, SIMULATE, RUN = blocks(SECTION, "sh")
(CALL,) = (block for block in blocks(PAGE, "sh") if block.startswith("curl "))


def command(beginning: str) -> str:
    (line,) = (line for line in PREPARE.splitlines() if line.startswith(beginning))
    return line


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_the_certificate_of_the_page_is_trusted_for_localhost(tmp_path: Path) -> None:
    """Also by Python 3.13, which is strict by default."""
    words = shlex.split(command("sudo openssl").replace("/etc/nginx/certificates", str(tmp_path)))
    subprocess.run(words[1:], check=True, capture_output=True, timeout=PATIENCE)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "fullchain.pem", tmp_path / "privkey.pem")
    client = ssl.create_default_context(cafile=str(tmp_path / "fullchain.pem"))
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(to_client, to_server, server_hostname="localhost")
    theirs = server.wrap_bio(to_server, to_client, server_side=True)
    for side in (ours, theirs, ours):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    assert ours.version() is not None


def test_the_configuration_of_the_page_is_the_shipped_one_for_localhost() -> None:
    done = subprocess.run(
        ["bash", "-ec", command("sed ").partition(" | ")[0]],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=10,
    )
    assert done.stdout == deploy_files.text("nginx.conf").replace(NAME, "localhost") != deploy_files.text("nginx.conf")


def wait_for(process: Started, pattern: str) -> re.Match[str]:
    end = time.monotonic() + PATIENCE
    while (found := re.search(pattern, process.output)) is None:
        assert time.monotonic() < end, process.output
        time.sleep(0.02)
    return found


@pytest.mark.timeout(120)
@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_a_call_reaches_a_process_through_nginx(tmp_path: Path) -> None:
    """As a reader types it, with the certificate of the tests and another port of nginx."""
    variable, *simulate = shlex.split(SIMULATE)
    assert variable == "SSL_CERT_FILE=/etc/nginx/certificates/fullchain.pem"
    address, path, *run = shlex.split(RUN)
    for folder in ("simulator", "program"):
        (tmp_path / folder).mkdir()
    with ExitStack() as stack:
        here = stack.enter_context(machine(deploy_files.port_range()))
        proxy = stack.enter_context(nginx(Places(here=here)))
        base = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(ROOT)}
        trusted = {**base, "SSL_CERT_FILE": str(CERTIFICATE)}
        simulator = stack.enter_context(launched(tmp_path / "simulator", trusted, "-m", "relay_sync", *simulate[1:]))
        wait_for(simulator, "(?m)^ready")
        settings = dict(line.split("=", 1) for line in simulator.output.splitlines()[:5])
        own = {
            "AUDIO_URL": address.partition("=")[2].replace("localhost", f"localhost:{proxy.port}"),
            "AUDIO_HOST": here,
            "PYTHONPATH": f"{ROOT / path.partition('=')[2]}:{ROOT}",
        }
        health = f"127.0.0.1:{stack.enter_context(hold_port()).getsockname()[1]}"
        arguments = [health if word == "9700" else word for word in run[1:]]
        program = stack.enter_context(
            launched(tmp_path / "program", {**base, **settings, **own}, "-m", "relay_sync", *arguments)
        )
        wait_for(program, "(?s)relay: connected.*relay: connected")
        subprocess.run(
            ["bash", "-euc", CALL], env={**base, **settings}, check=True, timeout=PATIENCE, stdout=subprocess.DEVNULL
        )
        file = wait_for(program, r"saved (\S+\.wav)")[1]
        assert 7 < read_wav(tmp_path / "program" / file).duration < 12
        program.terminate()
        simulator.terminate()
