"""Projects with their API tokens and JWTs. A simulator has one project, and tests can add more."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from attrs import define, field, frozen

from ...hosts.proof import same_secret

__all__ = ["Accounts"]


@frozen(kw_only=True)
class _Credential:
    """A token or a JWT of a project.

    :ivar kind: ``token`` or ``jwt_token``, as in ``signalwire.connect``.
    """

    project: str
    kind: str
    secret: str = field(repr=False)


@define(eq=False)
class Accounts:
    """The credentials that clients may present. Thread-safe.

    :ivar main: project of clients that present a JWT without a project while any credentials are accepted.
    :ivar accepts_any: whether clients may present any project with any token, or any JWT.
    """

    main: str
    accepts_any: bool = False
    _known: tuple[_Credential, ...] = field(default=(), init=False, repr=False)
    _lock: threading.Lock = field(factory=lambda: threading.Lock(), init=False, repr=False)

    @property
    def projects(self) -> list[str]:
        """The projects that have credentials, in the order in which they were added."""
        return list(dict.fromkeys(each.project for each in self._known))

    def add(self, project: str, *, token: str | None = None, jwt_token: str | None = None) -> None:
        """Add a token, a JWT or both to a project."""
        named = {"token": token, "jwt_token": jwt_token}
        new = (_Credential(project=project, kind=kind, secret=value) for kind, value in named.items() if value)
        with self._lock:
            self._known = tuple(dict.fromkeys((*self._known, *new)))

    def remove(self, project: str, *, token: str | None = None, jwt_token: str | None = None) -> bool:
        """Remove credentials of a project, or all of them if none is given. Return whether there were any."""
        named = {"token": token, "jwt_token": jwt_token}
        everything = not any(named.values())
        with self._lock:
            before = self._known
            self._known = tuple(
                each
                for each in before
                if each.project != project or not (everything or each.secret == named.get(each.kind))
            )
            return len(self._known) < len(before)

    def project_of(self, authentication: Mapping[str, Any]) -> str | None:
        """Return the project that credentials give access to, or ``None`` if they are invalid.

        A JWT is compared as an opaque string and needs no project.
        """
        kind = "jwt_token" if "jwt_token" in authentication else "token"
        project, secret = authentication.get("project"), authentication.get(kind)
        if self.accepts_any:
            named = project if isinstance(project, str) and project else None
            usable = isinstance(secret, str) and bool(secret) and (named is not None or kind == "jwt_token")
            return (named or self.main) if usable else None
        found = [each for each in self._known if each.kind == kind and same_secret(secret, each.secret)]
        if kind == "jwt_token" and "project" not in authentication:
            return found[0].project if found else None
        return next((each.project for each in found if same_secret(project, each.project)), None)
