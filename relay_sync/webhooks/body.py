"""Parse the query or body of a callback request, with limits on its size.

All functions raise :class:`relay_sync.WebhookRefused` for invalid input.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import parse_qsl

from ..errors import WebhookRefused
from ..protocol.depth import is_deeper
from ..text.json_text import read_leniently
from ..text.surrogates import mend_json

__all__ = ["Fields", "parse_form", "parse_json"]

MOST_FIELDS: Final = 1000
DEEPEST: Final = 64

Fields = list[tuple[str, str]]


def parse_form(text: bytes | str) -> Fields:
    """Parse a form or a query string. The fields keep their order, and blank fields are included.

    :raises WebhookRefused: the text is not UTF-8, or has more than 1,000 fields.
    """
    try:
        written = text.decode("ascii") if isinstance(text, bytes) else text
        return parse_qsl(written, keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS)
    except UnicodeDecodeError:
        raise WebhookRefused("the form is not percent-encoded UTF-8") from None
    except ValueError:
        raise WebhookRefused(f"the form has more than {MOST_FIELDS} fields") from None


def parse_json(body: bytes) -> dict[str, Any]:
    """Parse a body that contains a JSON object.

    :raises WebhookRefused: the body is not UTF-8, is not a JSON object, or is nested deeper than 64 levels.
    """
    if is_deeper(body, DEEPEST):
        raise WebhookRefused(f"the body is nested deeper than {DEEPEST} levels")
    try:
        found = read_leniently(mend_json(body.decode("utf-8-sig")))
    except UnicodeDecodeError:
        raise WebhookRefused("the body is not UTF-8") from None
    except ValueError:
        raise WebhookRefused("the body is not JSON") from None
    if not isinstance(found, dict):
        raise WebhookRefused("the body is not a JSON object")
    return found
