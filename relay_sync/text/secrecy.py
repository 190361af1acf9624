"""Mask secrets in logs and errors by value.

A server may repeat a secret anywhere: in an error message, in any field of a frame, or in a close frame's reason.
Masking fields with secret names is therefore not enough. Each client keeps its secrets in a :class:`Secrets` object.
:func:`hide` searches for all clients' secrets, including their URL, JSON, HTML and base64 encodings.

No work is done until something is logged or raised.
"""

from __future__ import annotations

import binascii
import itertools
import logging
import re
import traceback
import urllib.parse
import weakref
from collections.abc import Iterator, Mapping, Set
from typing import Any, Final

from .causes import chain

__all__ = [
    "HIDDEN",
    "SECRET_NAMES",
    "Secrets",
    "conceal",
    "custom_values",
    "drop_causes",
    "hide",
    "keep",
    "may_hold",
    "passwords",
]

HIDDEN: Final = "***"
#: Fields whose values are secret, at any depth of a frame.
SECRET_NAMES: Final = frozenset(
    {
        "authentication",
        "authorization",
        "authorization_bearer_token",
        "authorization_state",
        "custom_parameters",  # may contain one-time passwords under any name
        "dpop_token",
        "jwt_token",
        "password",
        "post_prompt_auth_password",
        "project",
        "token",
    }
)
#: Fields whose values may be ordinary words or IDs. They are masked by name only.
_BY_NAME_ONLY: Final = frozenset({"custom_parameters", "project"})
#: Maximum number of secrets learned at run time, such as bearer tokens. The oldest are dropped first.
MOST_LEARNED: Final = 256
#: Secrets with at least LONG characters are masked everywhere. The same applies to secrets with at least ALMOST_LONG
#: characters if they contain characters other than letters.
LONG: Final = 8
ALMOST_LONG: Final = 6
#: Shorter secrets are not masked, because they often occur in ordinary text.
SHORTEST: Final = 3
_USERINFO: Final = re.compile(r"://([^/?#\s]+)@")
_BASE64: Final = r"[A-Za-z0-9+/_-]*={0,2}"
_NAMED: Final = {"&": "amp", "<": "lt", ">": "gt", '"': "quot", "'": "apos"}
_LOGGERS: Final = ("", ".audio", ".callbacks", ".server", ".simulator")


#: Number of clients up to which searching for each client's secrets is faster than splitting the text into pieces.
FEW: Final = 24
#: Lengths of the pieces used to find secrets. The longest length that a secret allows is used.
PIECES: Final = (ALMOST_LONG, SHORTEST)
_PLAIN: Final = re.compile(r"[A-Za-z0-9._~-]+")  # characters that are not escaped in URLs, JSON and HTML
_ticks: Final = itertools.count(1)
_latest = 0  # changes with every new secret


def _changed() -> int:
    global _latest
    _latest = next(_ticks)
    return _latest


class _Form:
    """A secret and its encodings.

    :ivar value: the secret.
    :ivar pieces: substrings for the index. Any text that contains the secret, in any encoding, contains at least one of
        them. If the secret is too short, the tuple contains ``""``.
    """

    __slots__ = ("_anywhere", "_cores", "_pattern", "pieces", "value")

    def __init__(self, value: str) -> None:
        self.value = value
        self.pieces: tuple[str, ...]
        self._anywhere = len(value) >= LONG or (len(value) >= ALMOST_LONG and not value.isalpha())
        self._cores: tuple[str, ...] = ()
        self._pattern: re.Pattern[str] | None = None
        if not self._anywhere:
            self._pattern = re.compile(rf"(?<!\w){re.escape(value)}(?!\w)")
            self.pieces = (value[:SHORTEST],)
            return
        if not _PLAIN.fullmatch(value):
            self._pattern = re.compile("".join(map(_spellings, value)))
        cores = list(_base64_cores(value.encode("utf-8", "surrogatepass")))
        self._cores = tuple(dict.fromkeys([*cores, *(core.translate(_URL_SAFE) for core in cores)]))
        longest = max(_PLAIN.findall(value), key=len, default="")
        self.pieces = tuple({_piece(longest), *map(_piece, self._cores)})

    def hide(self, text: str, theirs: bool) -> str:
        if not self._anywhere:
            return self._pattern.sub(HIDDEN, text) if theirs and self._pattern is not None else text
        if self.value in text:
            text = text.replace(self.value, HIDDEN)
        if self._pattern is not None:
            text = self._pattern.sub(HIDDEN, text)
        for core in self._cores:
            while core in text:
                text = _without_run(text, text.index(core), len(core))
        return text


def _piece(text: str) -> str:
    """Return a piece from the end of ``text``, because similar tokens share a prefix. Return ``""`` if ``text`` is too short."""
    return next((text[-size:] for size in PIECES if len(text) >= size), "")


_URL_SAFE: Final = str.maketrans("+/", "-_")


def _spellings(letter: str) -> str:
    """Return a pattern that matches one character, both unescaped and as escaped in URLs, JSON and HTML."""
    if _PLAIN.fullmatch(letter):
        return re.escape(letter)
    code = ord(letter)
    percent = "".join(f"%(?:25)*(?i:{byte:02x})" for byte in letter.encode("utf-8", "surrogatepass"))
    # Compute UTF-16 without the codec, which takes as long to import as two modules.
    units = [code] if code < 0x10000 else [0xD7C0 + (code >> 10), 0xDC00 + (code & 0x3FF)]
    escaped = "".join(rf"\\+u(?i:{unit:04x})" for unit in units)
    names = [f"#{code}", f"#[xX](?i:0*{code:x})", *([_NAMED[letter]] if letter in _NAMED else [])]
    ways = [percent, escaped, f"&(?:{'|'.join(names)});", rf"\\*{re.escape(letter)}"]
    return f"(?:{'|'.join(ways + ([r'[+]'] if letter == ' ' else []))})"


def _base64_cores(data: bytes) -> Iterator[str]:
    """For each of the three alignments, yield the part of the base64 encoding that does not depend on surrounding bytes."""
    for shift in range(3):
        written = binascii.b2a_base64(bytes(shift) + data + bytes(2), newline=False).decode()
        yield written[-(-8 * shift // 6) : 8 * (shift + len(data)) // 6]


def _without_run(text: str, start: int, size: int) -> str:
    """Mask the whole base64 run around a match, because the rest would reveal the secret's first and last characters."""
    while start > 0 and (text[start - 1].isalnum() or text[start - 1] in "+/_-"):
        start, size = start - 1, size + 1
    found = re.compile(_BASE64).match(text, start + size)
    end = found.end() if found is not None else start + size
    return f"{text[:start]}{HIDDEN}{text[end:]}"


class Secrets:
    """The secrets of one client.

    :param values: secrets known from the start. They are kept for the client's lifetime.
    :ivar number: unique number of this object.
    """

    __slots__ = ("__weakref__", "_count", "_fixed", "_forms", "_learned", "number")

    def __init__(self, *values: str) -> None:
        self._fixed = tuple(value for value in values if len(value) >= SHORTEST)
        self._learned: dict[str, None] = {}
        self._count = _changed()
        self.number: int = self._count
        #: Number of the latest change, and all secrets, longest first.
        self._forms: tuple[int, list[_Form]] | None = None

    def __repr__(self) -> str:
        return f"<{len(self._fixed) + len(self._learned)} secrets>"

    def learn(self, value: str) -> None:
        """Add a secret to mask. This method may be called on any thread."""
        if len(value) < SHORTEST or value in self._fixed or value in self._learned:
            return
        self._learned[value] = None
        while len(self._learned) > MOST_LEARNED:
            self._learned.pop(next(iter(list(self._learned))), None)
        self._count = _changed()

    def learn_from(self, params: Any) -> None:
        """Add the values of all fields with secret names, and all passwords in URLs."""
        for value in _secrets_in(params):
            self.learn(value)

    def hide(self, text: str, *, theirs: bool = False) -> str:
        """Return ``text`` with the secrets masked.

        :param text: text to mask.
        :param theirs: whether the whole text came from a server. If so, short secrets that are whole words are masked
            as well. In this package's own messages, short secrets could be ordinary words.
        """
        for form in self.forms()[1]:
            text = form.hide(text, theirs)
        return text

    def forms(self) -> tuple[int, list[_Form]]:
        """Return the number of the latest change and the list of all secrets."""
        count, forms = self._count, self._forms
        if forms is None or forms[0] != count:
            made = {} if forms is None else {form.value: form for form in forms[1]}
            values = sorted({*self._fixed, *list(self._learned)}, key=len, reverse=True)
            forms = self._forms = (count, [made.get(value) or _Form(value) for value in values])
        return forms


def _texts(params: Any, names: Set[str], left_out: Set[str] = frozenset()) -> Iterator[tuple[str, bool]]:
    """Yield each string in ``params``, and whether it is inside a field with one of the given names.

    :param params: parsed JSON value.
    :param names: field names to look for, in lowercase.
    :param left_out: names of fields to skip.
    """
    # Use an explicit stack, because JSON may be nested more deeply than Python's recursion limit.
    todo: list[tuple[Any, bool]] = [(params, False)]
    while todo:
        value, below = todo.pop()
        if isinstance(value, str):
            # Check this first: most values are strings, and checking for an abstract class is slow.
            yield value, below
        elif isinstance(value, Mapping):
            for name, inner in value.items():
                low = name.lower() if isinstance(name, str) else ""
                if low not in left_out:
                    todo.append((inner, below or low in names))
        elif isinstance(value, (list, tuple)):
            todo += [(inner, below) for inner in value]


def _secrets_in(params: Any) -> Iterator[str]:
    for text, secret in _texts(params, SECRET_NAMES, _BY_NAME_ONLY):
        if secret:
            yield text
        yield from passwords(text)


def custom_values(params: Any) -> list[str]:
    """Return all strings inside ``custom_parameters``. They are masked only in messages about the same command."""
    return [text for text, secret in _texts(params, {"custom_parameters"}) if secret]


def passwords(url: str) -> list[str]:
    """Return the passwords in a URL or in a string that contains URLs.

    The result contains each password in its quoted and unquoted forms, and the credentials encoded for HTTP basic
    authentication.
    """
    if "@" not in url:
        return []
    found = []
    for userinfo in _USERINFO.findall(url if "://" in url else f"://{url}"):
        user, colon, password = userinfo.partition(":")
        if colon:
            pair = f"{urllib.parse.unquote(user)}:{urllib.parse.unquote(password)}"
            basic = binascii.b2a_base64(pair.encode("utf-8", "surrogatepass"), newline=False).decode()
            found += [password, urllib.parse.unquote(password), basic]
    return found


def may_hold(text: str) -> bool:
    """Return whether a frame may contain new secrets. This runs for every command, so it must be fast."""
    low = text.lower()
    if "token" in low or "password" in low or "auth" in low:
        return True
    if "@" not in text or "://" not in text:
        return False
    start, at = 0, text.find("@")
    while at >= 0:  # node addresses contain an @ as well; before a password, there is a colon in the same JSON string
        quote = text.rfind('"', start, at)  # the text before start has been checked
        if ":" in text[quote + 1 or start : at] or text[quote - 1] == "\\":
            return True
        start, at = at, text.find("@", at + 1)
    return False


# -- all clients ---------------------------------------------------------------------------------------------------------

_kept: Final[weakref.WeakValueDictionary[int, Secrets]] = weakref.WeakValueDictionary()


def _alive() -> list[Secrets]:
    """Return a copy of the values. ``values()`` could raise if another thread changes the table."""
    return [one for each in _kept.valuerefs() if (one := each()) is not None]


class _Index:
    """An index of the clients whose secrets a string may contain.

    The lookup time depends on the length of the string, not on the number of clients. The index uses no lock, because a
    lock could be held during a fork or a signal. All steps are atomic and can be repeated.
    """

    def __init__(self) -> None:
        self._owners: dict[str, set[int]] = {}
        self._known: dict[int, tuple[int, set[str]]] = {}  # for each client, the latest indexed change and its pieces
        self._seen = -1

    def caught_up(self) -> _Index:
        """Return this index after updating it, or a new index if much of this one is outdated."""
        latest = _latest  # later changes are indexed by the next update
        if self._seen == latest:
            return self
        index = _Index() if self._is_stale() else self
        for secrets in _alive():
            index._add(secrets)
        index._seen = latest
        return index

    def _is_stale(self) -> bool:
        """Return whether most entries belong to clients that no longer exist or to secrets that were dropped."""
        known = sum(len(pieces) for number, (_, pieces) in list(self._known.items()) if number in _kept)
        return len(self._owners) > 2 * known + 100

    def _add(self, secrets: Secrets) -> None:
        count, old = self._known.get(secrets.number, (-1, set[str]()))
        if count == secrets._count:
            return
        count, forms = secrets.forms()
        new = {piece for form in forms for piece in form.pieces}
        for piece in new - old:
            self._owners.setdefault(piece, set()).add(secrets.number)
        self._known[secrets.number] = (count, new)

    def owners(self, text: str) -> list[Secrets]:
        """Return the clients whose secrets ``text`` may contain. The result may include false positives."""
        pieces = {text[at : at + size] for size in PIECES for at in range(len(text) - size + 1)}
        owners = self._owners
        numbers = set(owners.get("", ()))
        for piece in pieces:
            found = owners.get(piece)
            if found is not None:
                numbers.update(list(found))
        return [secrets for number in sorted(numbers) if (secrets := _kept.get(number)) is not None]


_index = _Index()


def keep(secrets: Secrets) -> Secrets:
    """Mask these secrets everywhere until the object is garbage-collected."""
    _kept[secrets.number] = secrets
    _changed()
    for name in _LOGGERS:
        logger = logging.getLogger(f"relay_sync{name}")
        if _hiding not in logger.filters:
            logger.addFilter(_hiding)
    return secrets


def hide(text: str, *, theirs: bool = False) -> str:
    """Return ``text`` with all clients' secrets masked; see :meth:`Secrets.hide`."""
    owners = _owners(text)
    if len(owners) == 1:
        return owners[0].hide(text, theirs=theirs)
    # Mask the longest secrets first, because one client's secret may be part of another client's secret.
    for form in sorted((form for each in owners for form in each.forms()[1]), key=lambda form: -len(form.value)):
        text = form.hide(text, theirs)
    return text


def _owners(text: str) -> list[Secrets]:
    global _index
    if len(_kept) <= FEW:
        return _alive()
    index = _index = _index.caught_up()
    return index.owners(text)


class _Hiding(logging.Filter):
    """A log filter that masks secrets in a record and its traceback before it is written."""

    def filter(self, record: logging.LogRecord) -> bool:
        try:
            text = record.getMessage()
            shown = hide(text)
            if shown != text:
                record.msg, record.args = shown, ()
            if record.exc_info and record.exc_info[0] is not None and not record.exc_text:
                written = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
                shown = hide(written)
                if shown != written:
                    record.exc_text = shown
        except Exception:  # invalid arguments: the handler that formats the record reports them
            pass
        return True


_hiding: Final = _Hiding()


def conceal(record: logging.LogRecord) -> None:
    """Mask secrets in a log record that is written later, when the secrets' owner may no longer exist."""
    _hiding.filter(record)


def drop_causes(error: BaseException) -> None:
    """Remove causes that contain a secret from an exception, because other packages' exceptions cannot be rewritten."""
    for link in chain(error):
        for name in ("__cause__", "__context__"):
            other = getattr(link, name)
            if other is not None and _holds_secret(other):
                setattr(link, name, None)


def _holds_secret(error: BaseException) -> bool:
    try:
        text = f"{error} {error!r} {error.args!r} {vars(error)!r}"
    except Exception:
        return True
    return hide(text, theirs=True) != text
