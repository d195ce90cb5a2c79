"""A report as a list of parts, written as Markdown and as one HTML file that needs no other."""

import base64
import re
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple

from ich_jax.plumbing import tables
from ich_jax.plumbing.files import write_whole

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
.table { overflow-x: auto } table { border-collapse: collapse; font-size: 0.85rem; margin: 0.5rem 0 1.5rem }
th, td { border-bottom: 1px solid #ddd; padding: 0.25rem 0.6rem; text-align: right; white-space: nowrap }
th:first-child, td:first-child { text-align: left } th { border-bottom: 2px solid #888 }
img { max-width: 100%; height: auto } h2 { margin-top: 2.5rem } h3 { margin-bottom: 0.25rem; font-size: 1rem }
.first { font-weight: 600; border: 2px solid #b00; padding: 0.5rem 0.75rem }
"""


class Heading(NamedTuple):
    text: str


class Text(NamedTuple):
    text: str


class Table(NamedTuple):
    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


class Picture(NamedTuple):
    title: str
    path: Path  # a PNG in or below the report's folder


Part = Heading | Text | Table | Picture


def write_report(folder: Path, first_line: str, title: str, parts: Sequence[Part]) -> None:
    """Write report.md and report.html into `folder`; `first_line` comes before all else in both."""
    head = f"**{first_line}**\n\n# {title}"
    write_whole(folder / "report.md", lambda file: file.write(f"{head}\n\n{as_markdown(parts, folder)}\n"))
    write_whole(folder / "report.html", lambda file: file.write(as_html(first_line, title, parts)))


def as_markdown(parts: Sequence[Part], folder: Path | None = None) -> str:
    """`folder` is where the Markdown will lie, for the paths of pictures."""
    lines = []
    for part in parts:
        match part:
            case Heading(text):
                lines.append(f"## {text}")
            case Text(text):
                lines.append(text)
            case Table(name, header, rows):
                lines.append(f"### {name}\n\n{tables.markdown(header, rows)}")
            case Picture(name, path):
                lines.append(f"![{name}]({path.relative_to(folder).as_posix()})\n\n*{name}*")
    return "\n\n".join(lines)


def as_html(first_line: str, title: str, parts: Sequence[Part]) -> str:
    body = [f'<p class="first">{escape(first_line)}</p>', f"<h1>{escape(title)}</h1>"]
    for part in parts:
        match part:
            case Heading(text):
                body.append(f"<h2>{escape(text)}</h2>")
            case Text(text):
                text = re.sub("`(.+?)`", r"<code>\1</code>", escape(text))
                body.append(f"<p>{text}</p>")
            case Table(name, header, rows):
                body.append(f'<h3>{escape(name)}</h3>\n<div class="table">{tables.html(header, rows)}</div>')
            case Picture(name, path):
                data = base64.b64encode(path.read_bytes()).decode()
                body.append(
                    f'<figure><img alt="{escape(name)}" src="data:image/png;base64,{data}">'
                    f"<figcaption>{escape(name)}</figcaption></figure>"
                )
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{STYLE}</style>'
    return "\n".join(["<!doctype html>", f'<html lang="en"><head>{head}</head><body>', *body, "</body></html>", ""])
