"""nginx with the shipped configuration, on ports and addresses that no other test has."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from attrs import define, field, frozen

from tests.support import PATIENCE, ROOT
from tests.support.background import until
from tests.support.ports import hold_port
from tests.support.programs import need
from tests.support.tls import CERTIFICATE

#: The documented configuration.
SHIPPED: Final = ROOT / "examples" / "deploy" / "nginx.conf"
#: The public name in it, and the addresses of its machines: of one, and of several.
NAME: Final = "audio.example.com"
HERE, HOST_A, HOST_B = "127.0.0.1", "10.0.0.11", "10.0.0.12"
#: The user of nginx where the tests run as root. It owns no other files.
NOBODY: Final = 65534
_MODULE: Final = "nginx-stream"
#: What a process of nginx logs that serves its connections to their end, and accepts no more.
_ENDING: Final = "gracefully shutting down"


@contextmanager
def machine(ports: Sequence[int]) -> Iterator[str]:
    """An address of loopback that no other test has, as another machine would have one. Linux only.

    :param ports: nobody listens on them there.
    """
    for _ in range(100):
        address = f"127.{1 + secrets.randbelow(254)}.{secrets.randbelow(256)}.{1 + secrets.randbelow(254)}"
        with ExitStack() as stack:
            try:
                for port in ports:
                    sock = stack.enter_context(socket.socket())
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    sock.bind((address, port))
            except OSError:
                continue
            yield address  # others cannot listen there meanwhile, unless they reuse addresses, as our servers do
            return
    raise AssertionError(f"no address of loopback has the ports {ports} free")


def replaced(text: str, pairs: Mapping[str, str]) -> str:
    """Replace words that must be there."""
    for old, new in pairs.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


@define
class Nginx:
    """nginx, running until it is stopped.

    :ivar program: its path.
    :ivar folder: its files, which the user it runs as owns.
    :ivar port: where it listens, with TLS, on 127.0.0.1.
    """

    program: Path
    folder: Path
    port: int
    process: subprocess.Popen[bytes] = field(init=False)

    def start(self) -> None:
        """Start it, and return when it listens."""
        self.process = subprocess.Popen(  # type: ignore[call-overload]
            _command(self.program, self.folder), start_new_session=True, **_give(self.folder)
        )
        end = time.monotonic() + PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                running = self.process.poll() is None and time.monotonic() < end
                assert running, self.errors
                time.sleep(0.005)

    def stop(self) -> None:
        """End it at once, with its workers and all connections."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            raise

    def url(self, path: str) -> str:
        return f"wss://localhost:{self.port}{path}"

    @property
    def errors(self) -> str:
        return (self.folder / "error.log").read_text(encoding="utf-8")

    @property
    def accesses(self) -> str:
        return (self.folder / "access.log").read_text(encoding="utf-8")

    def workers(self) -> set[int]:
        """The IDs of its working processes, old and new."""
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return {int(number) for number in path.read_text(encoding="ascii").split()}

    def reload(self) -> None:
        """Read the configuration again, and return when a new process has taken over the listening sockets."""
        before = self.workers()
        ending = self.errors.count(_ENDING)
        self.process.send_signal(signal.SIGHUP)
        until(lambda: bool(self.workers() - before) and self.errors.count(_ENDING) > ending)

    def refuse_reload(self) -> None:
        """Read the configuration again, which has a mistake, and return when nginx has reported it."""
        self.process.send_signal(signal.SIGHUP)
        until(lambda: "[emerg]" in self.errors)

    def connect(self, name: str | None = "localhost", context: ssl.SSLContext | None = None) -> ssl.SSLSocket:
        """A connection with TLS, for requests of any form. ``name`` is the one in the handshake."""
        return (context or trusting()).wrap_socket(
            socket.create_connection(("127.0.0.1", self.port), PATIENCE), server_hostname=name
        )


def trusting() -> ssl.SSLContext:
    """A client that trusts the certificate of the tests, for any name."""
    context = ssl.create_default_context(cafile=str(CERTIFICATE))
    context.check_hostname = False
    return context


@frozen(kw_only=True)
class Places:
    """What tests put into the shipped configuration instead of its own values.

    :ivar here: address of the one machine.
    :ivar hosts: addresses of the several machines.
    :ivar name: the public name. The simulator looks it up, so it is usually one of this machine.
    """

    here: str = HERE
    hosts: tuple[str, str] = (HOST_A, HOST_B)
    name: str = "localhost"


def configuration(
    folder: Path, port: int, places: Places, changes: Mapping[str, str] | None = None, beside: str = ""
) -> str:
    """The shipped configuration with other places: these are all substitutions, unless a test asks for more.

    :param changes: words to replace before.
    :param beside: another shipped file, for the same nginx.
    """
    return replaced(
        replaced(SHIPPED.read_text(encoding="utf-8") + beside, changes or {}),
        {
            "listen 443 ": f"listen 127.0.0.1:{port} ",
            "/etc/nginx/certificates/fullchain.pem": str(folder / "cert.pem"),
            "/etc/nginx/certificates/privkey.pem": str(folder / "key.pem"),
            "/var/log/nginx/access.log": str(folder / "access.log"),
            NAME: places.name,
            f"{HERE}:87": f"{places.here}:87",
            f"{HOST_A}:": f"{places.hosts[0]}:",
            f"{HOST_B}:": f"{places.hosts[1]}:",
        },
    )


def _main(folder: Path, *, stream: str, http: str) -> str:
    """The part around the shipped configuration, which Debian's nginx.conf has on a real machine."""
    module = f"load_module {need(_MODULE)};\n" if stream else ""
    paths = "".join(
        f"    {each}_temp_path {folder}/{each};\n" for each in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return (
        f"{module}daemon off;\npid {folder}/nginx.pid;\nerror_log {folder}/error.log notice;\nworker_processes 1;\n"
        f"events {{\n    worker_connections 256;\n}}\n"
        f"http {{\n    access_log off;\n{paths}{http}}}\n" + (f"stream {{\n{stream}}}\n" if stream else "")
    )


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder of the user that nginx runs as, below the system's temporary folder, where that user can reach it."""
    folder = Path(tempfile.mkdtemp(prefix="relay-nginx-"))
    try:
        for name in ("cert.pem", "key.pem"):
            shutil.copy(CERTIFICATE.with_name(name), folder / name)
        yield folder
    finally:
        shutil.rmtree(folder)


def _command(program: Path, folder: Path) -> list[Path | str]:
    return [program, "-c", folder / "nginx.conf", "-p", folder, "-e", folder / "error.log"]


def _give(folder: Path) -> dict[str, object]:
    """Give the folder to an ordinary user if the tests run as root. :return: options of ``Popen`` for that user."""
    if os.geteuid() != 0:
        return {}
    for path in (folder, *folder.iterdir()):
        os.chown(path, NOBODY, NOBODY)
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []}


def check(changes: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """``nginx -t`` of the shipped configuration, with the substitutions of the tests.

    :param changes: words to replace in it.
    """
    program = need("nginx")
    with _folder() as folder, hold_port() as held:
        http = configuration(folder, held.getsockname()[1], Places(), changes)
        (folder / "nginx.conf").write_text(_main(folder, stream="", http=http), encoding="utf-8")
        options = {"capture_output": True, "text": True, "timeout": PATIENCE, "check": False, **_give(folder)}
        return subprocess.run([*_command(program, folder), "-t"], **options)  # type: ignore[call-overload, no-any-return]


@contextmanager
def nginx(
    places: Places | None = None,
    *,
    changes: Mapping[str, str] | None = None,
    http: str | None = None,
    stream: str = "",
    beside: str = "",
) -> Iterator[Nginx]:
    """Start nginx with the shipped configuration, and end it.

    :param places: addresses of the machines.
    :param changes: words to replace in the shipped configuration, for a proxy that is configured wrong.
    :param http: another configuration of the ``http`` block, with ``{port}`` and ``{folder}``, instead of the shipped one.
    :param beside: another shipped file of the ``http`` block.
    :param stream: a ``stream`` block too, with ``{port}``: the ``http`` block then listens nowhere.
    """
    program = need("nginx")
    assert sys.platform != "win32"
    with _folder() as folder, hold_port() as held:
        port = held.getsockname()[1]
        if http is None:
            http = configuration(folder, port, places or Places(), changes, beside)
        else:
            http = http.replace("{port}", str(port)).replace("{folder}", str(folder))
        text = _main(folder, stream=stream.replace("{port}", str(port)).replace("{folder}", str(folder)), http=http)
        (folder / "nginx.conf").write_text(text, encoding="utf-8")
        proxy = Nginx(program, folder, port)
        try:
            proxy.start()
            yield proxy
        finally:
            proxy.stop()
