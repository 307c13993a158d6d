"""The run as an SVG picture: a bar for each median, a thin line from minimum to maximum."""

from collections.abc import Sequence
from xml.sax.saxutils import escape

from benchmarks.results import Result, Run, number
from benchmarks.series import Series

CHARTED = ("one-slot", "slots", "hand-over", "start-up", "validate")
_WIDTH, _NAMES, _BARS = 860, 230, 520
_LINE, _HEAD, _GAP = 22, 34, 18
_OURS, _THEIRS = "#2563eb", "#94a3b8"


def svg(run: Run) -> str:
    """The charted benchmarks of a run, one below the other."""
    parts: list[str] = []
    top = 8
    for result in run.results:
        if result.name in CHARTED:
            parts += _panel(result, top)
            top += _HEAD + _LINE * len(result.rows) + _GAP
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {top}"'
        ' font-family="sans-serif" font-size="13">',
        f'<rect width="{_WIDTH}" height="{top}" fill="#ffffff"/>',
        *parts,
        "</svg>",
    ]) + "\n"


def _panel(result: Result, top: int) -> list[str]:
    unit = result.rows[0].unit
    title = f"{result.title}: {unit}, less is better"
    scale = _BARS / max(row.maximum for row in result.rows)
    found = [_text(10, top + 18, title, bold=True)]
    for place, row in enumerate(result.rows):
        found += _bar(row, top + _HEAD + place * _LINE, scale)
    return found


def _bar(row: Series, top: int, scale: float) -> Sequence[str]:
    colour = _OURS if row.name.startswith(("ltspec", "mgrctl")) else _THEIRS
    middle = top + 8
    left, right = _NAMES + row.minimum * scale, _NAMES + row.maximum * scale
    return (
        _text(_NAMES - 8, top + 12, row.name, anchor="end"),
        f'<rect x="{_NAMES}" y="{top}" width="{row.median * scale:.1f}" height="16"'
        f' fill="{colour}"/>',
        f'<path d="M{left:.1f} {middle}H{right:.1f}" stroke="#0f172a" stroke-width="1"/>',
        _text(right + 6, top + 12, number(row.median)),
    )


def _text(x: float, y: float, text: str, *, anchor: str = "start", bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return (
        f'<text x="{x:.1f}" y="{y}" fill="#0f172a" text-anchor="{anchor}"{weight}>'
        f"{escape(text)}</text>"
    )
