"""Actions of verbs for which the official SDK returns the server's reply."""

from __future__ import annotations

from typing import Any

__all__ = ["ReadableAsReply"]


class ReadableAsReply:
    """Lets an action be indexed like the server's reply, so that programs written for the official SDK keep working."""

    reply: dict[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.reply[name]

    def __contains__(self, name: object) -> bool:
        return name in self.reply

    def get(self, name: str, default: Any = None) -> Any:
        """Return a member of the server's reply, such as ``code`` or ``message``.

        :param name: name of the member.
        :param default: returned if the reply has no such member.
        """
        return self.reply.get(name, default)
