"""HTML for displaying clients, calls, actions and streams in notebooks.

The output consists of HTML and inline SVG without scripts. It must be readable in light and dark themes. Text uses the page's
text color, except for white text on bars. Bar and line colors have a contrast ratio of at least 3 against white and against a
dark background, and at least 4.5 against the white text.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

__all__ = ["BARS", "LINES", "TEXT", "Bar", "Moment", "axis", "bars", "panel", "table", "timeline"]

_WIDTH: Final = 800
_LEFT: Final = 150
_ROW: Final = 18
_LETTER: Final = 7  # Maximum average width of a character, in px.
_NARROW: Final = 260  # Width of the area for bars on a narrow page, in px.
#: CSS for SVG elements that contain text.
TEXT: Final = "font:11px sans-serif;fill:currentColor"
MOST_ROWS: Final = 24
BARS: Final[Mapping[str, str]] = {
    "created": "#5b6b8c",
    "ringing": "#8f6a00",
    "answered": "#2e7d4f",
    "ending": "#b3541e",
    "ended": "#6b7280",
}
#: Colors for actions and for stream tracks.
LINES: Final = ("#2a6fbb", "#b85c12")
_MOST_TICKS: Final = 5


class Moment(NamedTuple):
    """Event in a call's timeline.

    :ivar at: time of the event, in seconds since the epoch.
    :ivar what: type of the event.
    :ivar state: state reported by the event, or ``""``.
    :ivar control_id: control id of the action, or ``""``.
    """

    at: float
    what: str
    state: str = ""
    control_id: str = ""

    @classmethod
    def of(cls, at: float, what: str, params: Mapping[str, Any]) -> Moment:
        """Create a moment from an event's parameters."""
        state = params.get("state") or params.get("call_state") or params.get("connect_state")
        control_id = params.get("control_id")
        if not isinstance(state, str):
            state = ""
        # This is called for every event, and twice as fast as calling the class.
        return tuple.__new__(cls, (at, what, state, control_id if isinstance(control_id, str) else ""))

    @property
    def name(self) -> str:
        """Event type without the common prefix."""
        return self.what.removeprefix("calling.").removeprefix("call.")


class Bar(NamedTuple):
    """Bar in a chart.

    :ivar start: start in seconds.
    :ivar end: end in seconds.
    :ivar title: text that is shown when the pointer is over the bar.
    :ivar is_faint: whether the bar is drawn faintly.
    """

    start: float
    end: float
    title: str
    is_faint: bool = False


def _escape(text: str) -> str:
    import html  # Imported late, because it loads the table of all entities.

    return html.escape(text)


def table(rows: Iterable[tuple[str, object]]) -> str:
    """Return an HTML table of names and values."""
    return _table(f"{_cell('th', name)}{_cell('td', value)}" for name, value in rows)


def _table(rows: Iterable[str]) -> str:
    lines = "".join(f"<tr>{row}</tr>" for row in rows)
    return f'<table style="border-collapse:collapse;margin:4px 0">{lines}</table>'


def _cell(tag: str, value: object, side: str = "left") -> str:
    # By default, notebooks align cells to the right and do not wrap text, so long IDs would exceed the page width.
    wraps = "white-space:nowrap" if tag == "th" else "white-space:normal;overflow-wrap:anywhere"
    style = f"text-align:{side};vertical-align:top;padding:1px 10px 1px 0;{wraps}"
    return f'<{tag} style="{style}">{_escape(str(value))}</{tag}>'


def panel(title: str, *parts: str) -> str:
    """Return a title followed by content."""
    return f'<div><b style="overflow-wrap:anywhere">{_escape(title)}</b>{"".join(parts)}</div>'


def axis(seconds: float, top: int) -> str:
    """Return SVG elements for a time axis across the full width. The axis is 16 px high.

    :param seconds: length of the axis, in seconds.
    :param top: vertical position of the axis, in px.
    """
    parts = [f'<line x1="0" x2="100%" y1="{top + 0.5}" y2="{top + 0.5}" stroke="currentColor" stroke-opacity="0.5"/>']
    step = _step(seconds)
    count = int(seconds / step + 1e-9) if step else 0
    for number in range(count + 1):
        share = number * step / seconds * 100 if seconds else 0.0
        anchor = "start" if number == 0 else "end" if share > 94 else "middle"
        parts.append(
            f'<line x1="{share:.2f}%" x2="{share:.2f}%" y1="{top}" y2="{top + 4}" stroke="currentColor"/>'
            f'<text x="{share:.2f}%" y="{top + 14}" text-anchor="{anchor}">{_time(number * step)}</text>'
        )
    return "".join(parts)


def _step(seconds: float) -> float:
    """Return the interval between ticks in seconds.

    The interval is 1, 2 or 5 times a power of ten. On a long axis, it is a round number of seconds, minutes or hours.
    """
    least = seconds / _MOST_TICKS
    if least <= 0:
        return 0.0
    for step in (15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 14400.0):
        if 10 < least <= step:
            return step
    power = 10.0 ** math.floor(math.log10(least))
    return next(power * part for part in (1, 2, 5, 10) if power * part >= least * 0.999999)


def _time(seconds: float) -> str:
    if seconds < 60 or seconds % 1:
        return f"{seconds:.6g} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def timeline(moments: Sequence[Moment], *, now: float, over: bool) -> str:
    """Return a call's timeline as an SVG image, followed by a table of its events.

    The first row of the image shows the call's states. The rows below show its actions.

    :param moments: the call's events.
    :param now: current time in seconds since the epoch, where the image ends if the call is live.
    :param over: whether the call has ended.
    """
    if not moments:
        return "<div>nothing has happened yet</div>"
    start = moments[0].at
    end = max(moments[-1].at if over else now, start + 0.001)
    lanes = list(_lanes(moments).values())
    drawn = "".join(_lane(row, name, mine, start, end, over=over) for row, (name, mine) in enumerate(lanes))
    image = _image([name for name, _ in lanes], drawn, end - start, "timeline of the call")
    return image + _listed(moments, start, end)


def bars(rows: Sequence[tuple[str, Sequence[Bar]]], seconds: float, label: str) -> str:
    """Return rows of bars over a time axis as an SVG image.

    :param rows: label and bars of each row.
    :param seconds: length of the axis, in seconds.
    :param label: description of the image.
    """
    seconds = max(seconds, 0.001)
    drawn = "".join(
        f'<rect x="{min(99.6, bar.start / seconds * 100):.2f}%" y="{row * _ROW + 3}"'
        f' width="{max(0.4, (bar.end - bar.start) / seconds * 100):.2f}%" height="{_ROW - 5}" fill="{LINES[row % 2]}"'
        f' fill-opacity="{0.3 if bar.is_faint else 1}"><title>{_escape(bar.title)}</title></rect>'
        for row, (_, mine) in enumerate(rows)
        for bar in mine
    )
    return _image([name for name, _ in rows], drawn, seconds, label)


def _image(rows: Sequence[str], drawn: str, seconds: float, label: str) -> str:
    """Return an image with a column of the names of rows, and a part with a time axis that grows with the page."""
    height = _ROW * len(rows) + 18
    names = "".join(f'<text x="0" y="{row * _ROW + 13}">{_escape(name)}</text>' for row, name in enumerate(rows))
    return (
        f'<div style="display:flex;max-width:{_WIDTH}px" role="img" aria-label="{_escape(label)}">'
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LEFT}" height="{height}" style="flex:none;{TEXT}">{names}</svg>'
        f'<svg xmlns="http://www.w3.org/2000/svg" width="100%" height="{height}" style="flex:1;min-width:0;{TEXT}">'
        f"{drawn}{axis(seconds, _ROW * len(rows) + 1)}</svg></div>"
    )


def _lanes(moments: Sequence[Moment]) -> dict[str, tuple[str, list[Moment]]]:
    # Use the complete control ID as the key. The displayed name is shortened, and IDs chosen by users often share a prefix.
    lanes: dict[str, tuple[str, list[Moment]]] = {}
    for moment in moments:
        key = moment.control_id or ("" if moment.name in ("state", "receive") else moment.name)
        if key not in lanes:
            if len(lanes) >= MOST_ROWS:
                continue
            lanes[key] = (f"{moment.name} {moment.control_id[:8]}".strip() if key else "call", [])
        lanes[key][1].append(moment)
    return lanes


def _lane(row: int, name: str, moments: list[Moment], start: float, end: float, *, over: bool) -> str:
    top = row * _ROW
    parts = []
    of_the_call = name == "call"
    for index, moment in enumerate(moments):
        following = moments[index + 1].at if index + 1 < len(moments) else None
        if following is None:
            # The last state of a live call lasts until now. The same applies to an action with a single event.
            lasts = not over and (of_the_call or len(moments) == 1)
            following = end if lasts else moment.at
        x = (moment.at - start) / (end - start) * 100
        width = max(0.4, (following - moment.at) / (end - start) * 100)
        color = BARS.get(moment.state, LINES[0]) if of_the_call else LINES[0]
        said = _escape(f"{moment.name} {moment.state}".strip())
        parts.append(
            f'<rect x="{max(0.0, min(x, 99.6)):.2f}%" y="{top + 3}" width="{width:.2f}%" height="{_ROW - 5}" fill="{color}">'
            f"<title>{said}, {moment.at - start:.3f} s</title></rect>"
        )
        if width / 100 * _NARROW > _LETTER * (len(moment.state) + 1):
            # x is a percentage, so use dx for the padding of 4 px.
            text = f'<text x="{x:.2f}%" dx="4" y="{top + 13}" style="fill:#fff">{_escape(moment.state)}</text>'
            parts.append(text)
    return "".join(parts)


def _listed(moments: Sequence[Moment], start: float, end: float) -> str:
    heads = (("seconds", "right"), ("event", "left"), ("state", "left"), ("action", "left"))
    rows = ["".join(_cell("th", name, side) for name, side in heads)]
    for moment in moments:
        values = (f"{moment.at - start:.3f}", moment.name, moment.state, moment.control_id[:8])
        rows.append("".join(_cell("td", value, side) for value, (_, side) in zip(values, heads, strict=True)))
    return f"<details><summary>{len(moments)} events in {end - start:.2f} s</summary>{_table(rows)}</details>"
