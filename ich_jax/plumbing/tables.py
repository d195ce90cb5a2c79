"""A table of strings, for the terminal, in Markdown, in HTML. The first column is left-aligned, the others right."""

from collections.abc import Sequence
from html import escape

Row = Sequence[str]


def text(header: Row, rows: Sequence[Row]) -> str:
    """
    >>> print(text(("model", "F1"), [("proposed", "0.92")]))
    model       F1
    proposed  0.92
    """
    widths = [max(len(row[k]) for row in (header, *rows)) for k in range(len(header))]
    lines = []
    for first, *others in (header, *rows):
        cells = (f"{cell:>{width}}" for cell, width in zip(others, widths[1:], strict=True))
        lines.append("  ".join([f"{first:<{widths[0]}}", *cells]))
    return "\n".join(lines)


def markdown(header: Row, rows: Sequence[Row]) -> str:
    """
    >>> print(markdown(("model", "F1"), [("proposed", "0.92")]))
    | model | F1 |
    |---|---:|
    | proposed | 0.92 |
    """
    rule = "|---" + "|---:" * (len(header) - 1) + "|"
    lines = [f"| {' | '.join(cell.replace('|', '¦') for cell in row)} |" for row in (header, *rows)]
    return "\n".join([lines[0], rule, *lines[1:]])


def html(header: Row, rows: Sequence[Row]) -> str:
    """
    >>> print(html(("a", "b"), [("x<y", "1")]))
    <table>
    <tr><th>a</th><th>b</th></tr>
    <tr><td>x&lt;y</td><td>1</td></tr>
    </table>
    """

    def line(cells: Row, tag: str) -> str:
        return f"<tr>{''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in cells)}</tr>"

    return "\n".join(["<table>", line(header, "th"), *(line(row, "td") for row in rows), "</table>"])
