"""The files of ``examples/deploy``: their own checkers find nothing, and what one says agrees with the others."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path, PurePosixPath
from typing import Final

import pytest

from relay_sync.audio.server_address import HOSTNAME
from relay_sync.cli import supervisor
from tests.support import deploy_files
from tests.support.deploy_files import FOLDER, REPOSITORY, compose, dockerfile, drain, option, seconds, setting
from tests.support.pages import blocks
from tests.support.programs import need

#: The documented range of ports.
PORTS: Final = range(8765, 8773)
#: Seconds to spare between the last kill of the supervisor and the one of systemd or Docker.
SPARE: Final = 10
#: systemd's own measure of what a service may do, from 0 to 10: a service without any setting has 9.6.
MOST_EXPOSED: Final = 2.0

#: Of the slow tier's extra, so it is where Python is.
HADOLINT: Final = str(Path(sys.executable).parent / "hadolint")


def checked(*command: str) -> str:
    """All that a checker prints, which ends well."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def installed_unit(folder: Path, text: str | None = None, name: str = "relay.service") -> Path:
    """The unit as on a machine that has its program, which verification asks for."""
    text = deploy_files.text(name) if text is None else text
    program = setting("ExecStart", text).split()[0]
    path = folder / name
    path.write_text(text.replace(program, sys.executable), encoding="utf-8")
    return path


# -- systemd -----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", ["relay.service", "web.service"])
def test_systemd_finds_nothing_wrong_with_the_unit(name: str, tmp_path: Path) -> None:
    assert checked(str(need("systemd-analyze")), "verify", str(installed_unit(tmp_path, name=name))) == ""


@pytest.mark.slow
def test_the_unit_is_a_template_for_rolling_restarts_with_the_command_of_the_page(tmp_path: Path) -> None:
    page = (REPOSITORY / "docs" / "deploy.md").read_text(encoding="utf-8")
    (sed,) = re.findall(r"^(sed .*) \| sudo tee /etc/systemd/system/relay@\.service$", page, re.MULTILINE)
    text = checked(*shlex.split(sed.replace("examples/deploy", str(FOLDER))))
    for instance in ("0", "1"):
        health = option(shlex.split(setting("ExecStart", text.replace("%i", instance))), "--health")
        assert health == f"127.0.0.1:970{instance}"
        assert health in deploy_files.text("prometheus.yml")
    assert checked(str(need("systemd-analyze")), "verify", str(installed_unit(tmp_path, text, "relay@.service"))) == ""


@pytest.mark.slow
def test_systemd_names_an_unknown_setting(tmp_path: Path) -> None:
    """It exits with 0 all the same, so what it prints is compared."""
    wrong = deploy_files.text("relay.service").replace("Restart=always", "Restart=alway")
    told = subprocess.run(
        [str(need("systemd-analyze")), "verify", str(installed_unit(tmp_path, wrong))],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    ).stderr
    assert "alway" in told


@pytest.mark.slow
def test_the_unit_may_do_little(tmp_path: Path) -> None:
    told = checked(str(need("systemd-analyze")), "security", "--offline=yes", str(installed_unit(tmp_path)))
    exposure = re.search(r"exposure level for relay\.service: ([\d.]+)", told)
    assert exposure is not None, told
    assert float(exposure[1]) <= MOST_EXPOSED, told


def test_the_unit_restarts_the_service_and_leaves_the_drain_its_time() -> None:
    assert (setting("Type"), setting("KillMode"), setting("KillSignal")) == ("exec", "mixed", "SIGTERM")
    assert (setting("Restart"), setting("StartLimitIntervalSec")) == ("always", "0")
    assert setting("OOMPolicy") == "continue"
    assert setting("User") not in ("", "root", "0")
    assert seconds(setting("TimeoutStopSec")) == drain() + supervisor.GRACE + SPARE


def test_the_website_has_the_program_the_user_and_the_settings_of_the_calls() -> None:
    web = deploy_files.text("web.service")
    for name in ("User", "Group", "WorkingDirectory", "EnvironmentFile", "StateDirectory", "KillMode"):
        assert setting(name, web) == setting(name)
    # gunicorn's control socket cannot be in the user's home directory, which is read-only.
    own = f" XDG_RUNTIME_DIR=/run/{setting('RuntimeDirectory', web)}"
    assert setting("Environment", web) == setting("Environment") + own
    address = option(shlex.split(setting("ExecStart", web)), "--bind")
    assert f"proxy_pass http://{address};" in deploy_files.text("web.conf")


# -- Docker ------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_linter_finds_nothing_wrong_with_the_dockerfile() -> None:
    assert checked(HADOLINT, "--no-color", str(FOLDER / "Dockerfile")) == ""


@pytest.mark.slow
def test_the_linter_names_a_shell_form(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM python:3.13-slim\nCMD relay-sync run app:client\n", encoding="utf-8")
    told = subprocess.run(
        [HADOLINT, str(tmp_path / "Dockerfile")], capture_output=True, text=True, timeout=30, check=False
    )
    assert told.returncode != 0
    assert "DL3025" in told.stdout


def test_the_image_runs_as_an_ordinary_user_what_the_unit_runs() -> None:
    users = [arguments for name, arguments in dockerfile() if name == "USER"]
    assert len(users) == 1
    assert users[0] not in ("root", "0")
    (program, *arguments) = deploy_files.exec_form("ENTRYPOINT") + deploy_files.exec_form("CMD")
    (of_the_unit, *expected) = shlex.split(setting("ExecStart"))
    assert PurePosixPath(program).name == PurePosixPath(of_the_unit).name == "relay-sync"
    assert arguments == expected
    health = next(arguments for name, arguments in dockerfile() if name == "HEALTHCHECK")
    assert f"http://{option(expected, '--health')}/live" in health


def test_the_build_receives_what_it_copies_and_nothing_else() -> None:
    """No .env, certificate or virtual environment of the checkout can get into the image."""
    copied = [
        source
        for name, arguments in dockerfile()
        if name == "COPY" and not arguments.startswith("--from")
        for source in arguments.split()[:-1]
    ]
    assert all((REPOSITORY / source).exists() for source in copied)
    lines = [line for line in deploy_files.text("Dockerfile.dockerignore").splitlines() if line and line[0] != "#"]
    assert lines[0] == "*"
    assert sorted(line[1:] for line in lines if line.startswith("!")) == sorted(copied)


@pytest.mark.slow
def test_what_the_build_receives_is_enough_to_install(tmp_path: Path) -> None:
    """``setup.cfg`` names the README and the license: without them, the build ends with an error."""
    for name, arguments in dockerfile():
        if name == "COPY" and arguments.startswith(("setup.py", "relay_sync")):
            for source in arguments.split()[:-1]:
                path = REPOSITORY / source
                if path.is_dir():
                    shutil.copytree(path, tmp_path / source, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    shutil.copy(path, tmp_path / source)
    done = subprocess.run(
        [sys.executable, "setup.py", "--quiet", "build", "--build-lib", "built"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "built" / "relay_sync" / "simulator" / "speech" / "caller.wav").is_file()


@pytest.mark.slow
def test_compose_leaves_the_drain_its_time_and_shares_the_machine_s_network() -> None:
    services = compose()["services"]
    app, nginx = services["app"], services["nginx"]
    assert seconds(app["stop_grace_period"]) == seconds(setting("TimeoutStopSec"))
    assert (FOLDER / app["build"]["context"]).resolve() == REPOSITORY.resolve()
    assert (REPOSITORY / app["build"]["dockerfile"]).is_file()
    # nginx.conf names loopback addresses.
    assert app["network_mode"] == nginx["network_mode"] == "host"
    assert not {"ports", "expose"} & {*app, *nginx}
    assert app["restart"] == nginx["restart"] == "always"
    assert app["env_file"] == ".env"
    (volume,) = app["volumes"]
    recordings = next(arguments for name, arguments in dockerfile() if name == "VOLUME")
    assert volume == f"recordings:{recordings}"
    assert f"RECORDINGS={recordings}" in " ".join(arguments for name, arguments in dockerfile() if name == "ENV")
    assert "recordings" in compose()["volumes"]


# -- together ----------------------------------------------------------------------------------------------------------


def test_the_ports_suffice_for_a_rolling_restart() -> None:
    """Old and new processes run at the same time. nginx.conf names the same ports: ``test_nginx.py``."""
    assert deploy_files.port_range() == PORTS
    processes = int(option(shlex.split(setting("ExecStart")), "--processes"))
    assert len(deploy_files.port_range()) >= 2 * processes


def test_every_setting_of_the_program_is_in_the_example() -> None:
    named = set(re.findall(r"^#?([A-Z_]+)=", deploy_files.text("env.example"), re.MULTILINE))
    read = set(re.findall(r"os\.environ\.get\(\"(\w+)\"", deploy_files.APP.read_text(encoding="utf-8")))
    credentials = {"SIGNALWIRE_PROJECT_ID", "SIGNALWIRE_API_TOKEN", "SIGNALWIRE_SPACE"}
    # The unit and the Dockerfile say where recordings are.
    assert named == credentials | read - {"RECORDINGS"} | {HOSTNAME}


@pytest.mark.slow
def test_prometheus_accepts_its_file() -> None:
    assert "SUCCESS" in checked(str(need("promtool")), "check", "config", str(FOLDER / "prometheus.yml"))


@pytest.mark.slow
def test_prometheus_scrapes_the_address_that_the_unit_serves() -> None:
    import yaml

    (job,) = yaml.safe_load(deploy_files.text("prometheus.yml"))["scrape_configs"]
    (group,) = job["static_configs"]
    assert group["targets"][0] == option(shlex.split(setting("ExecStart")), "--health")


def test_the_page_on_health_shows_the_alerts_that_are_shipped() -> None:
    _, shown = blocks((REPOSITORY / "docs" / "health.md").read_text(encoding="utf-8"), "yaml")
    comment, _, rules = deploy_files.text("alerts.yml").partition("\n")
    assert comment.startswith("# ")
    assert rules == shown
    assert "rule_files: [alerts.yml]" in deploy_files.text("prometheus.yml")


def test_a_command_by_hand_has_the_user_the_settings_and_the_folder_of_the_units() -> None:
    script = deploy_files.text("as-relay")
    assert f"\n. {setting('EnvironmentFile')}\n" in script
    # Unlike su and runuser, setpriv keeps HOME, where gunicorn creates its control socket.
    assert f"exec setpriv --reuid {setting('User')} --regid {setting('Group')} --init-groups " in script
    assert f"HOME={setting('WorkingDirectory')}\n" in script
    assert f"\n{setting('Environment')} PATH=" in script
    assert f"\numask {setting('UMask')[1:]}\n" in script
    program = Path(shlex.split(setting("ExecStart"))[0])
    assert f"PATH={program.parent}:$PATH" in script
    assert (FOLDER / "as-relay").stat().st_mode & 0o111 == 0o111
