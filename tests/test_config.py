"""Where a client connects and as whom: arguments, then the environment, then defaults, and no secret in any message."""

from __future__ import annotations

import pickle
import ssl
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from relay_sync.config import Address, Config
from relay_sync.errors import InvalidParameter
from relay_sync.hosts.names import is_loopback

steady = settings(derandomize=True, deadline=None)

PROJECT, TOKEN, JWT = "8f0a119a-cda7-4497", "PT-hunter2", "eyJ.hunter3"
ENVIRONMENT = {"SIGNALWIRE_PROJECT_ID": PROJECT, "SIGNALWIRE_API_TOKEN": TOKEN}


def gather(env: dict[str, str] | None = None, **given_: Any) -> Config:
    arguments: dict[str, Any] = {
        "project": None,
        "token": None,
        "jwt_token": None,
        "host": None,
        "contexts": None,
        "max_active_calls": None,
        "ca_file": None,
        "proxy": None,
        "allow_insecure": False,
        "connect_timeout": 30,
        "request_timeout": 10,
        "ping_interval": 15,
        "ping_timeout": 5,
        "max_frame": 4096,
        "max_queue": 500,
        "ssl_context": None,
    }
    return Config.gather(**{**arguments, **given_}, environ=ENVIRONMENT if env is None else env)


def refused(env: dict[str, str] | None = None, **given_: Any) -> InvalidParameter:
    with pytest.raises(InvalidParameter) as caught:
        gather(env, **given_)
    assert isinstance(caught.value, ValueError)
    shown = f"{caught.value!s} {caught.value!r} {caught.value.__dict__!r}"
    assert "hunter" not in shown
    return caught.value


# -- credentials -----------------------------------------------------------------------------------------------------


def test_credentials_come_from_the_environment() -> None:
    config = gather()
    assert (config.project, config.token, config.jwt_token) == (PROJECT, TOKEN, "")
    assert config.authentication == {"project": PROJECT, "token": TOKEN}


def test_arguments_win_over_the_environment() -> None:
    config = gather(project="p", token="t")
    assert config.authentication == {"project": "p", "token": "t"}
    assert gather(project="p").authentication == {"project": "p", "token": TOKEN}


def test_a_jwt_names_its_project_itself() -> None:
    assert gather({}, jwt_token=JWT).authentication == {"jwt_token": JWT}
    assert gather({"SIGNALWIRE_JWT_TOKEN": JWT}).authentication == {"jwt_token": JWT}
    assert gather({**ENVIRONMENT, "SIGNALWIRE_JWT_TOKEN": JWT}).authentication == {"jwt_token": JWT}


def test_given_credentials_win_over_a_jwt_of_the_environment() -> None:
    env = {**ENVIRONMENT, "SIGNALWIRE_JWT_TOKEN": JWT}
    assert gather(env, project="p", token="t").authentication == {"project": "p", "token": "t"}
    assert gather(env, project="p").authentication == {"project": "p", "token": TOKEN}


@pytest.mark.parametrize(
    ("missing", "variable"), [("project", "SIGNALWIRE_PROJECT_ID"), ("token", "SIGNALWIRE_API_TOKEN")]
)
def test_missing_credentials_name_the_parameter_and_its_variable(missing: str, variable: str) -> None:
    env = {name: value for name, value in ENVIRONMENT.items() if name != variable}
    empty: dict[str, Any] = {missing: ""}
    for error in (refused(env), refused({**env, variable: ""}), refused(None, **empty)):
        assert error.parameter == missing
        assert variable in str(error)


@pytest.mark.parametrize("name", ["project", "token", "jwt_token"])
@pytest.mark.parametrize(
    "value", [" hunter2", "hunter2\n", "hun\x00hunter2", "hunter2\r\nX: y", 7, b"hunter2", ["hunter2"]]
)
def test_credentials_that_cannot_be_right_are_refused_unseen(name: str, value: Any) -> None:
    assert refused(**{name: value}).parameter == name


def test_a_token_with_a_line_break_from_a_file_is_noticed() -> None:
    assert refused({**ENVIRONMENT, "SIGNALWIRE_API_TOKEN": "PT-hunter2\n"}).parameter == "token"


@pytest.mark.parametrize("project", [PROJECT, "hunter2", "hunter2hunter2"])
def test_no_secret_shows_in_the_repr(project: str) -> None:
    config = gather(project=project, token=TOKEN, jwt_token=JWT, proxy="http://u:hunter4@proxy:3128")
    assert "hunter2" not in f"{config!r} {config}".replace("hunt...", "")
    assert "hunter3" not in repr(config)
    assert "hunter4" not in repr(config)
    assert project not in repr(config)


# -- host ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "address", "url"),
    [
        ("example.signalwire.com", Address("example.signalwire.com", 443, True), "wss://example.signalwire.com"),
        (
            "Example.SignalWire.com:8443",
            Address("example.signalwire.com", 8443, True),
            "wss://example.signalwire.com:8443",
        ),
        ("wss://name", Address("name", 443, True), "wss://name"),
        ("WSS://name:443", Address("name", 443, True), "wss://name"),
        ("wss://name:80", Address("name", 80, True), "wss://name:80"),
        ("https://name", Address("name", 443, True), "wss://name"),
        ("HTTPS://name:8443/", Address("name", 8443, True), "wss://name:8443"),
        ("wss://name/", Address("name", 443, True), "wss://name"),
        ("name/", Address("name", 443, True), "wss://name"),
        ("http://localhost:9000/", Address("localhost", 9000, False), "ws://localhost:9000"),
        ("ws://127.0.0.1:9000", Address("127.0.0.1", 9000, False), "ws://127.0.0.1:9000"),
        ("ws://localhost", Address("localhost", 80, False), "ws://localhost"),
        ("ws://[::1]:9000", Address("[::1]", 9000, False), "ws://[::1]:9000"),
        ("[2001:db8::1]", Address("[2001:db8::1]", 443, True), "wss://[2001:db8::1]"),
        ("my_host-1.example.", Address("my_host-1.example.", 443, True), "wss://my_host-1.example."),
        ("xn--bcher-kva.example", Address("xn--bcher-kva.example", 443, True), "wss://xn--bcher-kva.example"),
        ("a" * 63, Address("a" * 63, 443, True), f"wss://{'a' * 63}"),
        ("a:65535", Address("a", 65535, True), "wss://a:65535"),
    ],
)
def test_hosts_that_are_accepted(text: str, address: Address, url: str) -> None:
    found = Address.parse(text)
    assert found == address
    assert found.url == url
    assert Address.parse(found.url) == found


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "name ",
        " name",
        "na me",
        "name\n",
        "name\r\nX-Header: y",
        "name\t",
        "name\x00",
        "/",
        "name/path",
        "name?query",
        "name#fragment",
        "user@name",
        "user:hunter2@name",
        "wss://user:hunter2@name",
        "wss://us/er:hunter2@name",
        "wss://a@hunter2@name",
        " user:hunter2@name",
        "user:hunter2@n\u00e4me",
        "hun://hunter2@name",
        "hunter2://hunter2@name",
        "user:hunter2://hunter2@name",
        "http://user:hunter2@name",
        "name?token=hunter2",
        "name#hunter2",
        "wss://name?a=b&token=hunter2#hunter2",
        "b\u00fccher.example",
        "\u0661\u0662.example",
        "name:",
        "name:0",
        "name:65536",
        "name:99999",
        "name:123456",
        "name:-1",
        "name:+1",
        "name:1a",
        "name:\u0661",
        ":443",
        "://name",
        "ws://",
        "wss://",
        "http://name",
        "https://",
        "https:///",
        "https://name//",
        "https://name/path",
        "https://https://name",
        "ftp://name",
        "wss:name",
        "wss://wss://name",
        "-name",
        "name-",
        ".name",
        "name..name",
        "..",
        "a" * 64,
        ".".join(["abcdefgh"] * 29),
        "[::1",
        "::1",
        "[]",
        "[:]",
        "[.]",
        "[1.2.3.4]",
        "[::1]x",
        "[::g]",
        "[fe80::1%eth0]",
        "*",
        "a,b",
        "a;b",
        "a\\b",
    ],
)
def test_hosts_that_are_refused(text: str) -> None:
    error = refused(host=text)
    assert error.parameter == "host"


@pytest.mark.parametrize("value", [0, 7, b"name", ["name"], False, object()])
def test_a_host_is_a_text(value: Any) -> None:
    assert refused(host=value).parameter == "host"


def test_a_host_of_the_environment_may_be_empty_but_a_given_one_may_not() -> None:
    assert gather({**ENVIRONMENT, "SIGNALWIRE_SPACE": ""}).address.host == "relay.signalwire.com"
    refused(host="")


def test_the_host_comes_from_the_argument_the_environment_or_the_default() -> None:
    env = {**ENVIRONMENT, "SIGNALWIRE_SPACE": "space.signalwire.com"}
    assert gather(env, host="given.example").address.host == "given.example"
    assert gather(env).address.host == "space.signalwire.com"
    assert gather().address == Address("relay.signalwire.com", 443, True)
    for pasted in ("https://space.signalwire.com", "https://space.signalwire.com/", "space.signalwire.com/"):
        assert gather({**ENVIRONMENT, "SIGNALWIRE_SPACE": pasted}).address == gather(env).address


@pytest.mark.parametrize(
    ("variable", "value", "parameter"),
    [
        ("SIGNALWIRE_SPACE", "a b", "host"),
        ("SIGNALWIRE_SPACE", "https://space.signalwire.com/api", "host"),
        ("SIGNALWIRE_SPACE", "http://space.signalwire.com", "host"),
        ("SIGNALWIRE_SPACE", "name:99999", "host"),
        ("SIGNALWIRE_RELAY_SCHEME", "https", "host"),
        ("SIGNALWIRE_RELAY_SCHEME", "ws", "host"),
        ("SIGNALWIRE_RELAY_CA_FILE", "/not/there.pem", "ca_file"),
        ("SIGNALWIRE_PROJECT_ID", " p", "project"),
        ("SIGNALWIRE_API_TOKEN", "t\n", "token"),
        ("SIGNALWIRE_JWT_TOKEN", "t ", "jwt_token"),
        ("RELAY_MAX_ACTIVE_CALLS", "0", "max_active_calls"),
        ("RELAY_MAX_ACTIVE_CALLS", "many", "max_active_calls"),
    ],
)
def test_an_error_names_the_variable_that_the_value_came_from(variable: str, value: str, parameter: str) -> None:
    error = refused({**ENVIRONMENT, variable: value})
    assert (error.parameter, error.variable) == (parameter, variable)
    assert str(error).startswith(f"Invalid {variable}=")
    assert str(error).count(variable) == 1
    assert pickle.loads(pickle.dumps(error)).variable == variable


def test_an_error_about_an_argument_names_no_variable_as_its_source() -> None:
    env = {**ENVIRONMENT, "SIGNALWIRE_SPACE": "a b", "RELAY_MAX_ACTIVE_CALLS": "0"}
    error = refused(env, host="c d", max_active_calls=3)
    assert error.variable == ""
    assert str(error).startswith("Invalid host='c d'")


def test_the_scheme_may_come_from_the_environment() -> None:
    env = {**ENVIRONMENT, "SIGNALWIRE_RELAY_SCHEME": "ws"}
    assert gather(env, host="localhost:5000").address == Address("localhost", 5000, False)
    assert gather(env, host="wss://localhost:5000").address.secure
    assert gather({**ENVIRONMENT, "SIGNALWIRE_RELAY_SCHEME": "WSS"}, host="name").address.secure
    assert gather({**ENVIRONMENT, "SIGNALWIRE_RELAY_SCHEME": ""}, host="name").address.secure
    assert "SIGNALWIRE_RELAY_SCHEME" in str(refused({**ENVIRONMENT, "SIGNALWIRE_RELAY_SCHEME": "http"}, host="name"))
    # Plain ws stays for loopback, whoever asks for it.
    assert "allow_insecure" in str(refused(env, host="name"))


@pytest.mark.parametrize("host", ["name", "10.0.0.1", "128.0.0.1", "127.0.0.1.example", "localhost.example", "[::2]"])
def test_plain_ws_is_for_loopback(host: str) -> None:
    assert "allow_insecure" in str(refused(host=f"ws://{host}"))
    with pytest.warns(UserWarning, match="without TLS"):
        config = gather(host=f"ws://{host}:8000", allow_insecure=True)
    assert not config.address.secure


@steady
@given(st.text())
@example("a" * 100_000 + "!")
@example("a-" * 50_000 + "!")
@example("a." * 50_000 + "!")
@example("@" * 100_000)
@example("[" + ":" * 100_000 + "]")
def test_any_text_is_an_address_or_refused_and_quickly(text: str) -> None:
    try:
        address = Address.parse(text)
    except InvalidParameter:
        return
    assert not set(address.host) & set("/?@# \r\n\t\\%")
    assert address.host.isascii()
    assert 0 < address.port < 65536
    assert Address.parse(address.url) == address


HOSTILE = st.lists(st.sampled_from([*"/?@# \r\n\t:[].-%\\", "a", "name", "1", "443", "wss", "ws", "://", "\u00e4"]))


@settings(steady, max_examples=500)
@given(HOSTILE.map("".join), st.sampled_from([None, "ws", "wss", "http"]))
def test_nothing_that_could_change_a_request_gets_through(text: str, scheme: str | None) -> None:
    try:
        address = Address.parse(text, scheme=scheme)
    except InvalidParameter:
        return
    assert not set(text.split("://")[-1].removesuffix("/")) & set("/?@# \r\n\t\\%")
    assert address.secure or is_loopback(address.host)


# -- the rest --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["connect_timeout", "request_timeout", "ping_interval", "ping_timeout"])
@pytest.mark.parametrize("value", [0, -1, 0.0, float("nan"), float("inf"), 10**400, True, "5", None, [5]])
def test_limits_are_seconds_above_zero(name: str, value: Any) -> None:
    error = refused(**{name: value})
    assert error.parameter == name
    assert "seconds" in str(error)


def test_limits_become_floats() -> None:
    config = gather(connect_timeout=3, ping_timeout=0.5)
    assert (config.connect_timeout, config.ping_timeout) == (3.0, 0.5)
    assert isinstance(config.connect_timeout, float)


@pytest.mark.parametrize(("given_", "kept"), [(None, ()), ([], ()), (["a", "b", "a"], ("a", "b")), (("x",), ("x",))])
def test_contexts(given_: Any, kept: tuple[str, ...]) -> None:
    assert gather(contexts=given_).contexts == kept
    assert gather(contexts=iter(["a"])).contexts == ("a",)


@pytest.mark.parametrize("value", ["default", b"default", {"default": 1}, [""], [None], [1], 5, [["a"]]])
def test_contexts_that_are_no_list_of_names(value: Any) -> None:
    assert refused(contexts=value).parameter == "contexts"


def test_the_cap_on_calls() -> None:
    assert gather().max_active_calls == 1000
    assert gather({**ENVIRONMENT, "RELAY_MAX_ACTIVE_CALLS": "7"}).max_active_calls == 7
    assert gather({**ENVIRONMENT, "RELAY_MAX_ACTIVE_CALLS": ""}).max_active_calls == 1000
    assert gather({**ENVIRONMENT, "RELAY_MAX_ACTIVE_CALLS": "7"}, max_active_calls=3).max_active_calls == 3


@pytest.mark.parametrize("text", ["0", "-1", "x", "1.5", " 1", "\u0661", "9" * 5000])
def test_a_cap_of_the_environment_that_cannot_be_right(text: str) -> None:
    assert "1 or greater" in str(refused({**ENVIRONMENT, "RELAY_MAX_ACTIVE_CALLS": text}))


@pytest.mark.parametrize("value", [0, -1, True, 1.5, "5", []])
@pytest.mark.parametrize("name", ["max_active_calls", "max_frame", "max_queue"])
def test_counts_are_whole_numbers(name: str, value: Any) -> None:
    assert refused(**{name: value}).parameter == name


def test_a_ca_file_must_be_there(tmp_path: Path) -> None:
    there = tmp_path / "ca.pem"
    there.write_text("x")
    assert gather(ca_file=there).ca_file == str(there)
    assert gather(ca_file=bytes(there)).ca_file == str(there)
    env = {**ENVIRONMENT, "SIGNALWIRE_RELAY_CA_FILE": str(there)}
    assert gather(env).ca_file == str(there)
    assert gather({**ENVIRONMENT, "SIGNALWIRE_RELAY_CA_FILE": ""}).ca_file is None
    unusable: list[Any] = [tmp_path, tmp_path / "missing.pem", "", "a\x00b", 5, []]
    for wrong in unusable:
        assert "SIGNALWIRE_RELAY_CA_FILE" in str(refused(ca_file=wrong))
    assert refused({**ENVIRONMENT, "SIGNALWIRE_RELAY_CA_FILE": "/missing.pem"}).parameter == "ca_file"


def test_an_ssl_context_is_one() -> None:
    context = ssl.create_default_context()
    assert gather(ssl_context=context).ssl_context is context
    for wrong in ("x", True, 5):
        assert refused(ssl_context=wrong).parameter == "ssl_context"


@pytest.mark.parametrize(
    "proxy", ["http://proxy:3128", "http://user:p%40ss@proxy.example:8080/", "http://10.0.0.1:80", "http://[::1]:3128"]
)
def test_proxies_that_are_accepted(proxy: str) -> None:
    assert gather(proxy=proxy).proxy == proxy


@pytest.mark.parametrize(
    "proxy",
    [
        "proxy:3128",
        "http://proxy",
        "http://proxy:0",
        "http://proxy:65536",
        "http://proxy:99999",
        "https://user:hunter2@proxy:1",
        "socks5://user:hunter2@proxy:1",
        "http://user:hunter2@proxy",
        "http://user:hunter2@@proxy:80",
        "http://user:hun/hunter2@proxy:80",
        "http://user:hunter2@proxy:80/path",
        "http://user:hunter2@proxy:80?x",
        "http://user:hunter2 @proxy:80",
        "http://user:hunter2@pro\r\nxy:80",
        "hunter2",
        5,
        b"http://proxy:1",
    ],
)
def test_proxies_that_are_refused_unseen(proxy: Any) -> None:
    assert refused(proxy=proxy).parameter == "proxy"


def test_no_proxy_is_no_proxy() -> None:
    assert gather(proxy=None).proxy is None
    assert gather(proxy="").proxy == ""  # none, whatever the environment says


@steady
@given(st.text(), st.text(), st.text())
def test_whatever_is_given_as_credentials_stays_unseen(project: str, token: str, jwt: str) -> None:
    marked = [f"<<{value}>>" for value in (project, token, jwt)]
    try:
        config = gather({}, project=marked[0], token=marked[1], jwt_token=marked[2])
    except InvalidParameter as error:
        shown = f"{error!s} {error!r} {error.__dict__!r}"
    else:
        shown = repr(config)
    for value in marked[1:]:
        assert value not in shown
        assert repr(value) not in shown
