"""Signatures behind proxies and with ports, and what is remembered of callbacks that were verified and of others."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay_sync import InvalidParameter, WebhookRefused
from relay_sync.webhooks import Webhooks, reader
from relay_sync.webhooks.forwarded import places
from relay_sync.webhooks.signatures import sign_form, sign_json
from tests.support.callbacks import AS_FORM, AS_JSON, FORM, JSON_BODY, KEY, form

PROXY = "10.1.2.3"


def verified(hooks: Webhooks, signed: str, url: str, headers: Any = (), peer: str | None = PROXY) -> bool | None:
    """Whether a form that was signed for one URL is taken as genuine where it comes by another."""
    sent = [*AS_FORM.items(), ("X-SignalWire-Signature", sign_form(KEY, signed, FORM)), *headers]
    return hooks.parse("POST", url, sent, form(), peer=peer).verified


# -- ports -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("signed", "seen", "good"),
    [
        ("https://h.example/s", "https://h.example:8443/s", True),
        ("https://h.example:8443/s", "https://h.example:8443/s", True),
        ("https://h.example/s", "https://h.example:443/s", True),
        ("https://h.example:443/s", "https://h.example/s", True),
        ("http://h.example/s", "http://h.example:8080/s", True),
        ("http://h.example:80/s", "http://h.example/s", True),
        ("https://[2001:db8::1]/s", "https://[2001:db8::1]:8443/s", True),
        ("https://[2001:db8::1]:443/s", "https://[2001:db8::1]/s", True),
        ("https://u:p@h.example/s", "https://u:p@h.example:8443/s", True),
        ("https://h.example/s?a=1", "https://h.example:8443/s?a=1", True),
        ("https://h.example/s", "https://H.Example/s", True),
        ("https://h.example:443/s", "https://H.Example/s", True),
        ("https://h.example/S", "https://h.example/s", False),
        ("https://h.example:9443/s", "https://h.example:8443/s", False),
        ("https://h.example:8443/s", "https://h.example/s", False),
        ("http://h.example/s", "https://h.example:8443/s", False),
        ("https://other.example/s", "https://h.example:8443/s", False),
    ],
)
def test_a_url_is_signed_with_its_port_or_without(signed: str, seen: str, good: bool) -> None:
    assert verified(Webhooks(signing_key=KEY), signed, seen) is good
    path = "/" + seen.split("/", 3)[3]
    public = seen.removesuffix(path)
    if "@" not in public:
        assert verified(Webhooks(signing_key=KEY, public_url=public), signed, path) is good
    as_json = {**AS_JSON, "X-SignalWire-Signature": sign_json(KEY, signed, JSON_BODY)}
    assert Webhooks(signing_key=KEY).parse("POST", seen, as_json, JSON_BODY).verified is good


# -- proxies -----------------------------------------------------------------------------------------------------------

OUTER, INNER = "https://hooks.example.com:8443/s", "http://inner:8000/s"
SAID: dict[str, list[tuple[str, str]]] = {
    "three": [("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "hooks.example.com"), ("X-Forwarded-Port", "8443")],
    "port in the host": [("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "hooks.example.com:8443")],
    "the inner port too": [
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "hooks.example.com:80"),
        ("X-Forwarded-Port", "8443"),
    ],
    "lists": [
        ("X-Forwarded-Proto", "https, http"),
        ("X-Forwarded-Host", "hooks.example.com, inner"),
        ("X-Forwarded-Port", "8443, 8000"),
    ],
    "several lines": [
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Proto", "http"),
        ("X-Forwarded-Host", "hooks.example.com:8443"),
        ("x-forwarded-host", "inner"),
    ],
    "Forwarded": [("Forwarded", 'for=192.0.2.60;proto=https;by=203.0.113.43;host="hooks.example.com:8443"')],
    "not quoted": [("Forwarded", "proto=https;host=hooks.example.com:8443")],
    "other case": [("forwarded", 'Proto=HTTPS ; HOST="hooks.example.com:8443"')],
    "IPv6 and a list": [
        (
            "Forwarded",
            'for="[2001:db8:cafe::17]:4711";host="hooks.example.com:8443";proto=https, for=unknown;host=inner',
        )
    ],
    "blank elements": [("Forwarded", ' , ;; host="hooks.example.com:8443";proto=https,')],
    "quoted pairs": [("Forwarded", 'for="a\\"b,;c";proto=https;host="hooks\\.example.com:8443"')],
    "two lines": [("Forwarded", 'proto=https;host="hooks.example.com:8443"'), ("Forwarded", "for=10.0.0.1")],
    "both kinds": [
        ("Forwarded", "for=192.0.2.60"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "hooks.example.com:8443"),
    ],
}


@pytest.mark.parametrize("headers", SAID.values(), ids=SAID)
def test_what_a_trusted_proxy_says_counts(headers: list[tuple[str, str]]) -> None:
    hooks = Webhooks(signing_key=KEY, trusted_proxies=["192.168.0.0/16", "10.0.0.0/8", "::1"])
    assert verified(hooks, OUTER, INNER, headers) is True
    assert verified(hooks, "https://hooks.example.com/s", INNER, headers) is True  # its port left out
    assert verified(hooks, "https://evil.example.com/s", INNER, headers) is False
    assert verified(hooks, OUTER, INNER, headers, "::ffff:10.1.2.3") is True
    assert verified(Webhooks(signing_key=KEY, trust_forwarded=True), OUTER, INNER, headers, None) is True


@pytest.mark.parametrize("network", ["::ffff:10.0.0.0/104", "::ffff:10.1.2.3"])
def test_a_trusted_network_may_be_written_as_one_of_ipv6(network: str) -> None:
    """Servers that listen on both families write the addresses of IPv4 peers like that."""
    headers, hooks = next(iter(SAID.values())), Webhooks(signing_key=KEY, trusted_proxies=network)
    for peer in ("10.1.2.3", "::ffff:10.1.2.3"):
        assert verified(hooks, OUTER, INNER, headers, peer) is True
    for peer in ("11.1.2.3", "::ffff:11.1.2.3", "::a01:203"):
        assert verified(hooks, OUTER, INNER, headers, peer) is False


@pytest.mark.parametrize("headers", SAID.values(), ids=SAID)
@pytest.mark.parametrize("peer", ["203.0.113.9", "11.1.2.3", "::2", "", "unknown", "10.1.2.3:5000", None])
def test_nobody_else_is_believed(headers: list[tuple[str, str]], peer: str | None) -> None:
    assert verified(Webhooks(signing_key=KEY), OUTER, INNER, headers, PROXY) is False
    assert verified(Webhooks(signing_key=KEY, trusted_proxies="10.0.0.0/8"), OUTER, INNER, headers, peer) is False
    # Nor does what they say spoil what is right without it.
    assert verified(Webhooks(signing_key=KEY), INNER, INNER, headers, peer) is True


def test_the_port_alone_is_that_of_the_host_which_was_asked_for() -> None:
    hooks = Webhooks(signing_key=KEY, trusted_proxies=PROXY)
    port = [("X-Forwarded-Port", "8443"), ("X-Forwarded-Proto", "https")]
    assert verified(hooks, "https://hooks.example.com:8443/s", "http://hooks.example.com:8000/s", port) is True
    assert verified(hooks, "https://[2001:db8::1]:8443/s", "http://[2001:db8::1]/s", port) is True
    assert verified(hooks, OUTER, "/s", [*port, ("Host", "hooks.example.com")]) is True


def test_a_public_url_wins_over_every_proxy() -> None:
    hooks = Webhooks(signing_key=KEY, public_url="https://h.example", trusted_proxies=PROXY)
    assert verified(hooks, "https://h.example/s", INNER, SAID["three"]) is True
    assert verified(hooks, OUTER, INNER, SAID["three"]) is False


def test_what_proxies_say() -> None:
    def said(text: str) -> list[tuple[str, str]]:
        return places({"forwarded": text})

    assert said('host="[2001:db8::1]:8443";proto=https') == [("https", "[2001:db8::1]:8443")]
    assert said("host=a;proto=http, host=b, proto=https") == [("http", "a"), ("", "b"), ("https", "")]
    for malformed in ('host="a', "host", "host=a b", 'host="a"x', "=a", "host=a;host=b", "host=a @"):
        assert said(malformed) == []
    for odd in ("u@a", "a/b", "a?b", "a:b", "a:1:2", "[", "[::1%25lo]", "a\x7f"):
        assert said(f'host="{odd}"') == places({"x-forwarded-host": odd}) == []
    assert said("proto=ftp;host=a") == [("", "a")]
    assert places({"x-forwarded-port": "443"}) == [("", ":443")]
    for none in ("0", "65536", "x", "-1", "\u0663", "9" * 5000):
        assert places({"x-forwarded-port": none}) == []
    assert len(places({"x-forwarded-host": ",".join(f"h{n}" for n in range(50))})) == 8


@given(st.text() | st.text(alphabet='host=proto;," \\[]:a1'))
def test_whatever_a_proxy_says_is_read(text: str) -> None:
    for name in ("forwarded", "x-forwarded-host", "x-forwarded-port", "x-forwarded-proto"):
        assert len(places({name: text})) <= 8


@pytest.mark.parametrize("given", ["everybody", "10.0.0.0/33", "10.0.0.1/8", ["10.0.0.0/8", 7], 7, [None]])
def test_proxies_that_are_none(given: Any) -> None:
    with pytest.raises(InvalidParameter) as caught:
        Webhooks(trusted_proxies=given)
    assert caught.value.parameter == "trusted_proxies"
    with pytest.raises(InvalidParameter) as caught:
        Webhooks().parse("POST", "/", AS_FORM, form(), peer=7)  # type: ignore[arg-type]
    assert caught.value.parameter == "peer"


# -- memory ------------------------------------------------------------------------------------------------------------


def genuine(number: int) -> tuple[dict[str, str], bytes]:
    fields = [*FORM, ("Number", str(number))]
    return {**AS_FORM, "X-SignalWire-Signature": sign_form(KEY, "https://h.example/s", fields)}, urlencode(
        fields
    ).encode()


@pytest.mark.parametrize("signature", [None, "forged"])
def test_what_anybody_can_send_makes_nothing_forget_what_was_verified(
    monkeypatch: pytest.MonkeyPatch, signature: str | None
) -> None:
    monkeypatch.setattr(reader, "REMEMBERED", 50)
    hooks = Webhooks(signing_key=KEY)
    headers, body = genuine(0)
    assert not hooks.parse("POST", "https://h.example/s", headers, body).repeated
    for number in range(120):
        others = {**AS_FORM, **({} if signature is None else {"X-SignalWire-Signature": signature})}
        assert not hooks.parse("POST", "https://h.example/s", others, genuine(number)[1]).repeated
    assert hooks.parse("POST", "https://h.example/s", headers, body).repeated


def test_as_many_are_remembered_as_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert reader.REMEMBERED == 4096  # the docstring of Callback and docs/webhooks.md say so
    monkeypatch.setattr(reader, "REMEMBERED", 3)
    for signed in (True, False):
        hooks = Webhooks(signing_key=KEY)
        sent = [genuine(number) for number in range(4)]
        if not signed:
            sent = [(AS_FORM, body) for _, body in sent]
        seen = [
            hooks.parse("POST", "https://h.example/s", *each).repeated for each in [*sent, sent[1], sent[3], sent[0]]
        ]
        assert seen == [False, False, False, False, True, True, False]


# -- web pages -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1:3000", "http://127.0.0.1:5000.evil.example"]
)
def test_what_a_web_page_of_another_site_sends_is_no_callback(origin: str) -> None:
    """A form needs no permission from the server that it is sent to."""
    url, hooks = "http://127.0.0.1:5000/s", Webhooks(signing_key=KEY)
    fields = {"Content-Type": "application/x-www-form-urlencoded", "Host": "127.0.0.1:5000", "Origin": origin}
    for method, body in (("POST", b"CallSid=c&CallStatus=completed"), ("GET", b"")):
        with pytest.raises(WebhookRefused, match="web page of another site") as caught:
            hooks.parse(method, f"{url}?CallSid=c&CallStatus=completed", fields, body)
        assert caught.value.status == 403
    signed = {**AS_JSON, "Origin": origin, "X-SignalWire-Signature": sign_json(KEY, url, JSON_BODY)}
    assert hooks.parse("POST", url, signed, JSON_BODY).verified is True  # a proxy may have set the header
    forged = {**signed, "X-SignalWire-Signature": "0" * 40}
    with pytest.raises(WebhookRefused, match="web page of another site"):
        hooks.parse("POST", url, forged, JSON_BODY)


@pytest.mark.parametrize(
    ("origin", "host", "public"),
    [
        ("http://127.0.0.1:5000", "127.0.0.1:5000", None),
        ("https://h.example", "h.example", None),
        ("https://h.example", "inner:8080", "https://h.example/hooks"),
    ],
)
def test_a_page_of_the_same_site_may_try_callbacks_out(origin: str, host: str, public: str | None) -> None:
    fields = {**AS_JSON, "Host": host, "Origin": origin}
    assert Webhooks(public_url=public).parse("POST", "/s", fields, JSON_BODY).verified is None
