"""What notebooks show of clients, calls and actions: HTML and inline SVG, without scripts. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

__all__ = ["Moment", "panel", "table", "timeline"]

_WIDTH: Final = 640
_LEFT: Final = 170
_ROW: Final = 18
_LETTER: Final = 7  # what a letter takes at most, on average
MOST_ROWS: Final = 24
_COLOURS: Final[Mapping[str, str]] = {
    "created": "#c9ced6",
    "ringing": "#e2b93b",
    "answered": "#4c9f70",
    "ending": "#c26a1c",
    "ended": "#8a8f98",
}
_ACTION: Final = "#2a6fbb"


class Moment(NamedTuple):
    """Something that happened in a call.

    :ivar at: seconds since the epoch. :ivar what: the event's type. :ivar state: the state that it told, or ``""``.
    :ivar control_id: of the action that it was about, or ``""``.
    """

    at: float
    what: str
    state: str = ""
    control_id: str = ""

    @property
    def name(self) -> str:
        """The type without the words that all types begin with."""
        return self.what.removeprefix("calling.").removeprefix("call.")


def _escape(text: str) -> str:
    import html  # it brings the names of all entities with it

    return html.escape(text)


def table(rows: Iterable[tuple[str, object]]) -> str:
    """Names and values."""
    lines = "".join(
        f'<tr><th style="text-align:left">{_escape(name)}</th>'
        f'<td style="text-align:left">{_escape(str(value))}</td></tr>'
        for name, value in rows
    )
    return f"<table>{lines}</table>"


def panel(title: str, *parts: str) -> str:
    """A heading and what belongs to it."""
    return f"<div><b>{_escape(title)}</b>{''.join(parts)}</div>"


def timeline(moments: Sequence[Moment], *, now: float, over: bool) -> str:
    """A call's life as a picture, the call's own states above and each action below, and as a table behind it.

    :param now: the end of the picture while the call lives, in seconds since the epoch. :param over: it does not live.
    """
    if not moments:
        return "<div>nothing has happened yet</div>"
    start = moments[0].at
    end = max(moments[-1].at if over else now, start + 0.001)
    lanes = _lanes(moments)
    height = _ROW * len(lanes) + 20
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="100%" '
        f'style="max-width:{_WIDTH}px;font:11px sans-serif" role="img" aria-label="timeline of the call">'
    ]
    for row, (name, mine) in enumerate(lanes.values()):
        drawn.append(_lane(row, name, mine, start, end, over=over))
    bottom = _ROW * len(lanes) + 13
    drawn.append(f'<text x="{_LEFT}" y="{bottom}">0 s</text>')
    drawn.append(f'<text x="{_WIDTH}" y="{bottom}" text-anchor="end">{end - start:.2f} s</text></svg>')
    return "".join(drawn) + _listed(moments, start)


def _lanes(moments: Sequence[Moment]) -> dict[str, tuple[str, list[Moment]]]:
    # By key, not by name: ids that people choose often begin alike.
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
    scale = (_WIDTH - _LEFT) / (end - start)
    parts = [f'<text x="0" y="{top + 13}">{_escape(name)}</text>']
    of_the_call = name == "call"
    for index, moment in enumerate(moments):
        following = moments[index + 1].at if index + 1 < len(moments) else None
        if following is None:
            # A call's last state lasts, and so does an action's that has only begun; an end is a moment.
            lasts = not over and (of_the_call or len(moments) == 1)
            following = end if lasts else moment.at
        x = _LEFT + (moment.at - start) * scale
        width = max(2.0, (following - moment.at) * scale)
        colour = _COLOURS.get(moment.state, _ACTION) if of_the_call else _ACTION
        said = _escape(f"{moment.name} {moment.state}".strip())
        parts.append(
            f'<rect x="{min(x, _WIDTH - 2):.1f}" y="{top + 3}" width="{width:.1f}" height="{_ROW - 5}" fill="{colour}">'
            f"<title>{said}, {moment.at - start:.3f} s</title></rect>"
        )
        if width > _LETTER * (len(moment.state) + 2):
            parts.append(f'<text x="{x + 5:.1f}" y="{top + 13}" fill="#fff">{_escape(moment.state)}</text>')
    return "".join(parts)


def _listed(moments: Sequence[Moment], start: float) -> str:
    rows = "".join(
        f'<tr><td>{moment.at - start:.3f}</td><td style="text-align:left">{_escape(moment.name)}</td>'
        f'<td style="text-align:left">{_escape(moment.state)}</td>'
        f'<td style="text-align:left">{_escape(moment.control_id[:8])}</td></tr>'
        for moment in moments
    )
    head = "".join(
        f'<th style="text-align:{side}">{name}</th>'
        for name, side in (("seconds", "right"), ("event", "left"), ("state", "left"), ("action", "left"))
    )
    return f"<details><summary>{len(moments)} events</summary><table><tr>{head}</tr>{rows}</table></details>"
