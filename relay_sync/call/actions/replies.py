"""Mix-in for actions that can be used like the server's reply."""

from __future__ import annotations

from typing import Any

__all__ = ["ReadableAsReply"]


class ReadableAsReply:
    """Mix-in that makes an action behave like the server's reply, which the official SDK returns instead of an action."""

    reply: dict[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.reply[name]

    def __contains__(self, name: object) -> bool:
        return name in self.reply

    def get(self, name: str, default: Any = None) -> Any:
        """Return an item of the server's reply, such as ``code`` or ``message``.

        :param name: name of the item.
        :param default: value to return if the reply does not have the item.
        """
        return self.reply.get(name, default)
