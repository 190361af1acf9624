"""Secrets that this process knows, hidden by their value in whatever is logged or raised.

A server may repeat what it was sent anywhere: in the text of an error, in a member of any name, in the reason for which it
closes a connection. So it is not enough to hide the members that are secret by name. Each client keeps its secrets in a
:class:`Secrets`; :func:`hide` looks for those of all clients, in the spellings that URLs, JSON, HTML and base64 have for them.

Nothing is prepared, and no text is looked at, before something is logged or raised.
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
#: Members whose values are secret, wherever they stand in a frame.
SECRET_NAMES: Final = frozenset(
    {
        "authentication",
        "authorization",
        "authorization_bearer_token",
        "authorization_state",
        "custom_parameters",  # one-time passwords travel there, by any name
        "dpop_token",
        "jwt_token",
        "password",
        "post_prompt_auth_password",
        "project",
        "token",
    }
)
#: Those whose values may be ordinary words or ids: they are hidden by their names alone.
_BY_NAME_ONLY: Final = frozenset({"custom_parameters", "project"})
#: Secrets that came after the first ones, such as bearer tokens; the oldest go first.
MOST_LEARNED: Final = 256
#: A secret of at least so many characters is hidden wherever it stands; so is one that is almost as long and no plain word.
LONG: Final = 8
ALMOST_LONG: Final = 6
#: Shorter ones stand in every text by chance.
SHORTEST: Final = 3
_USERINFO: Final = re.compile(r"://([^/?#\s]+)@")
_BASE64: Final = r"[A-Za-z0-9+/_-]*={0,2}"
_NAMED: Final = {"&": "amp", "<": "lt", ">": "gt", '"': "quot", "'": "apos"}
_LOGGERS: Final = ("", ".audio", ".callbacks", ".server", ".simulator")


#: Up to so many clients it is quicker to look for the secrets of each than to cut a text into pieces.
FEW: Final = 24
#: The lengths of pieces by which secrets are found, the longer ones where a secret allows for them.
PIECES: Final = (ALMOST_LONG, SHORTEST)
_PLAIN: Final = re.compile(r"[A-Za-z0-9._~-]+")  # what URLs, JSON and HTML write as it is
_ticks: Final = itertools.count(1)
_latest = 0  # changes with every secret that comes


def _changed() -> int:
    global _latest
    _latest = next(_ticks)
    return _latest


class _Form:
    """One secret, and how it may be written.

    :ivar pieces: wherever it stands in a text, one of these stands there, too; ``""`` if there is nothing of the kind.
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
    """From its end, since tokens of a kind begin alike; ``""`` of one that is too short."""
    return next((text[-size:] for size in PIECES if len(text) >= size), "")


_URL_SAFE: Final = str.maketrans("+/", "-_")


def _spellings(letter: str) -> str:
    """A pattern for one character: as it is, and as URLs, JSON and HTML write it."""
    if _PLAIN.fullmatch(letter):
        return re.escape(letter)
    code = ord(letter)
    percent = "".join(f"%(?:25)*(?i:{byte:02x})" for byte in letter.encode("utf-8", "surrogatepass"))
    # UTF-16, by hand: to load its codec takes as long as two modules of ours.
    units = [code] if code < 0x10000 else [0xD7C0 + (code >> 10), 0xDC00 + (code & 0x3FF)]
    escaped = "".join(rf"\\+u(?i:{unit:04x})" for unit in units)
    names = [f"#{code}", f"#[xX](?i:0*{code:x})", *([_NAMED[letter]] if letter in _NAMED else [])]
    ways = [percent, escaped, f"&(?:{'|'.join(names)});", rf"\\*{re.escape(letter)}"]
    return f"(?:{'|'.join(ways + ([r'[+]'] if letter == ' ' else []))})"


def _base64_cores(data: bytes) -> Iterator[str]:
    """What base64 makes of it whatever stands before and behind it, which moves it by 0, 1 or 2 bytes."""
    for shift in range(3):
        written = binascii.b2a_base64(bytes(shift) + data + bytes(2), newline=False).decode()
        yield written[-(-8 * shift // 6) : 8 * (shift + len(data)) // 6]


def _without_run(text: str, start: int, size: int) -> str:
    """Replace all of the base64 around a place: the rest of it would tell the first and the last letter."""
    while start > 0 and (text[start - 1].isalnum() or text[start - 1] in "+/_-"):
        start, size = start - 1, size + 1
    found = re.compile(_BASE64).match(text, start + size)
    end = found.end() if found is not None else start + size
    return f"{text[:start]}{HIDDEN}{text[end:]}"


class Secrets:
    """What must not be shown of one client.

    :param values: known from the beginning, and for as long as the client is there.
    """

    __slots__ = ("__weakref__", "_count", "_fixed", "_forms", "_learned", "number")

    def __init__(self, *values: str) -> None:
        self._fixed = tuple(value for value in values if len(value) >= SHORTEST)
        self._learned: dict[str, None] = {}
        self.number = self._count = _changed()
        #: The forms of all of them, the longest first, and after which change they were made.
        self._forms: tuple[int, list[_Form]] | None = None

    def __repr__(self) -> str:
        return f"<{len(self._fixed) + len(self._learned)} secrets>"

    def learn(self, value: str) -> None:
        """Hide this as well from now on. On any thread."""
        if len(value) < SHORTEST or value in self._fixed or value in self._learned:
            return
        self._learned[value] = None
        while len(self._learned) > MOST_LEARNED:
            self._learned.pop(next(iter(list(self._learned))), None)
        self._count = _changed()

    def learn_from(self, params: Any) -> None:
        """Learn the values of members that are secret by name, and passwords in URLs, however deeply they are nested."""
        for value in _secrets_in(params):
            self.learn(value)

    def hide(self, text: str, *, theirs: bool = False) -> str:
        """The text without any of them.

        :param theirs: a server wrote all of it. Then a short secret is hidden too where it stands as a word; among our own
            words it could be one of them.
        """
        for form in self.forms()[1]:
            text = form.hide(text, theirs)
        return text

    def forms(self) -> tuple[int, list[_Form]]:
        """How each of them may be written, and after which change that was so."""
        count, forms = self._count, self._forms
        if forms is None or forms[0] != count:
            made = {} if forms is None else {form.value: form for form in forms[1]}
            values = sorted({*self._fixed, *list(self._learned)}, key=len, reverse=True)
            forms = self._forms = (count, [made.get(value) or _Form(value) for value in values])
        return forms


def _texts(params: Any, names: Set[str], left_out: Set[str] = frozenset()) -> Iterator[tuple[str, bool]]:
    """All texts, and whether each stands below a member of one of these names, in lower case.

    :param left_out: members that are not looked into.
    """
    # A stack of our own: what JSON can write may be nested more deeply than Python may call.
    todo: list[tuple[Any, bool]] = [(params, False)]
    while todo:
        value, below = todo.pop()
        if isinstance(value, str):  # first, for most are, and an abstract class takes a while to say no
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
    """The texts below ``custom_parameters``, wherever that stands: secret in what is said of this one command."""
    return [text for text, secret in _texts(params, {"custom_parameters"}) if secret]


def passwords(url: str) -> list[str]:
    """The passwords in a URL or in a text with URLs, as written and as meant, and the credentials as HTTP sends them."""
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
    """Whether there may be anything to learn in a frame; cheap, for it is asked of every command."""
    low = text.lower()
    if "token" in low or "password" in low or "auth" in low:
        return True
    if "@" not in text or "://" not in text:
        return False
    start, at = 0, text.find("@")
    while at >= 0:  # the addresses of nodes have one, too: a password stands behind a colon, in the same JSON text
        quote = text.rfind('"', start, at)  # what is before start has been looked at
        if ":" in text[quote + 1 or start : at] or text[quote - 1] == "\\":
            return True
        start, at = at, text.find("@", at + 1)
    return False


# -- all of them ---------------------------------------------------------------------------------------------------------

_kept: Final[weakref.WeakValueDictionary[int, Secrets]] = weakref.WeakValueDictionary()


def _alive() -> list[Secrets]:
    """A copy made in one step: ``values()`` would raise where another thread changes the table."""
    return [one for each in _kept.valuerefs() if (one := each()) is not None]


class _Index:
    """Whose secrets a text may hold, by the pieces it consists of: that costs what the text is long, however many clients
    there are.

    There is no lock, which a fork or a signal might find taken: steps are whole, and to do one twice is harmless.
    """

    def __init__(self) -> None:
        self._owners: dict[str, set[int]] = {}
        self._known: dict[
            int, tuple[int, set[str]]
        ] = {}  # of each: the change up to which it is in here, and its pieces
        self._seen = -1

    def caught_up(self) -> _Index:
        """This one with all that came since; a new one if much of it has gone."""
        latest = _latest  # what comes from now on is for the next time
        if self._seen == latest:
            return self
        index = _Index() if self._is_stale() else self
        for secrets in _alive():
            index._add(secrets)
        index._seen = latest
        return index

    def _is_stale(self) -> bool:
        """Whether most of it belongs to clients that are gone, or to secrets that they have forgotten."""
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
        """Those whose secrets may stand in a text, and others now and then."""
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
    """Hide these everywhere, for as long as somebody holds them."""
    _kept[secrets.number] = secrets
    _changed()
    for name in _LOGGERS:
        logger = logging.getLogger(f"relay_sync{name}")
        if _hiding not in logger.filters:
            logger.addFilter(_hiding)
    return secrets


def hide(text: str, *, theirs: bool = False) -> str:
    """A text without the secrets of any client of this process; see :meth:`Secrets.hide`."""
    owners = _owners(text)
    if len(owners) == 1:
        return owners[0].hide(text, theirs=theirs)
    # The longest first here, too: the secret of one client may be a part of another's.
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
    """Rewrites a record that is about to be written, where it or its traceback holds a secret."""

    def filter(self, record: logging.LogRecord) -> bool:
        try:
            text = record.getMessage()
            shown = hide(text)
            if shown != text:
                record.msg, record.args = shown, ()
            if record.exc_info and record.exc_info[0] is not None and not record.exc_text:
                told = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
                shown = hide(told)
                if shown != told:
                    record.exc_text = shown
        except Exception:  # arguments that do not fit: whoever writes the record will say so
            pass
        return True


_hiding: Final = _Hiding()


def conceal(record: logging.LogRecord) -> None:
    """Rewrite a record that is going to be written later, when whose secrets it holds may be gone."""
    _hiding.filter(record)


def drop_causes(error: BaseException) -> None:
    """Cut off what an exception was raised from, where that holds a secret: it is not ours to rewrite."""
    for link in chain(error):
        for name in ("__cause__", "__context__"):
            other = getattr(link, name)
            if other is not None and _is_telling(other):
                setattr(link, name, None)


def _is_telling(error: BaseException) -> bool:
    try:
        told = f"{error} {error!r} {error.args!r} {vars(error)!r}"
    except Exception:
        return True
    return hide(told, theirs=True) != told
