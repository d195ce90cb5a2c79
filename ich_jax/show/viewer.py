"""Slices as one HTML file that needs no other: page/ with its data inside.

No text of a file's header comes in here, only numbers, so none can reach the page. Its security policy names the
hashes of its own script and style and allows nothing else: it could not load or send anything if it tried.
"""

import base64
import hashlib
import json
import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from ich_jax.paper.printed import CLASSES, IMAGE_SIZE, TITLE
from ich_jax.paper.windowing import AIR_HU, WINDOWS, Window
from ich_jax.plumbing.files import write_whole

PAGE = Path(__file__).parent / "page"
# In the order in which they need each other.
SCRIPTS = ("pixels.js", "windows.js", "resize.js", "shown.js", "drawing.js", "words.js", "reader.js")
STROKE, FULL_RANGE = Window(32, 8), Window(1024, 4096)
PRESETS = dict(zip(("brain", "subdural", "bone", "stroke", "full range"), (*WINDOWS, STROKE, FULL_RANGE), strict=True))


class Shown(NamedTuple):
    """A slice on the page; what is None is not known."""

    pixels: str  # from `pack_stored`
    rows: int
    columns: int
    encoding: dict[str, Any]  # the fields of `data.hounsfield.Encoding`
    phantom: bool
    series: int = 1  # series are numbered from 1, and so are the slices of each
    number: int = 1
    of: int = 1
    mm: float | None = None  # from the first slice of the series
    probabilities: Sequence[float] | None = None  # six, in the order of CLASSES
    saliency: str | None = None  # from `pack_bytes`: (image_size, image_size) uint8
    truth: dict[str, Any] | None = None  # {"types": [type, …], "mm2": {type: area of its blood}}
    blood: str | None = None  # from `pack_bytes`: (side, side) 0 or 1, side the longer of rows and columns


class Answering(NamedTuple):
    """The network whose probabilities are shown."""

    model: str
    image_size: int
    phantom: bool  # trained on synthetic slices only


def pack_stored(stored: np.ndarray) -> str:
    """Stored values, packed without loss: the step from each pixel's left neighbour, folded so that small steps of
    both signs are small numbers; first all low bytes, then all high bytes; zlib; base64. page/pixels.js unpacks it.

    Args:
        stored: (rows, columns) int16 or uint16.

    >>> packed = pack_stored(np.array([[5, 3, 3]], np.int16))
    >>> list(zlib.decompress(base64.b64decode(packed)))  # steps 5, −2, 0
    [10, 3, 0, 0, 0, 0]
    """
    steps = np.diff(stored.view(np.int16), axis=1, prepend=np.int16(0))
    folded = ((steps << 1) ^ (steps >> 15)).view(np.uint16)
    return pack_bytes(np.stack([folded & 0xFF, folded >> 8]))


def pack_bytes(values: np.ndarray) -> str:
    """Whole numbers from 0 to 255 (or booleans), any shape: zlib, base64."""
    return base64.b64encode(zlib.compress(values.astype(np.uint8).tobytes(), 9)).decode()


def whole_script() -> str:
    """The page's JavaScript, all of it."""
    return '"use strict";\n' + "\n".join(map(_read, SCRIPTS))


def write_page(
    out: Path,
    slices: Sequence[Shown],
    *,
    network: Answering | None = None,
    resampled: int | None = None,
    counts: str = "",
) -> None:
    """Write the page, whole or not at all.

    Args:
        out: the HTML file.
        slices: series by series, each from one end of the body to the other.
        network: given, every slice has probabilities.
        resampled: the side in pixels to which slices were made smaller.
        counts: a sentence about files that are not shown.
    """
    write_whole(Path(out), lambda file: _write(file, slices, network, resampled, counts))


def _write(
    file: IO[str], slices: Sequence[Shown], network: Answering | None, resampled: int | None, counts: str
) -> None:
    style, html = (_read(name) for name in ("page.css", "page.html"))
    script = whole_script()
    packed = ("pixels", "saliency", "blood")
    synthetic = sum(one.phantom for one in slices)
    data = {
        "air_hu": AIR_HU,
        "image_size": network.image_size if network else IMAGE_SIZE,
        "classes": CLASSES,
        "windows": [{"name": name, "level": level, "width": width} for name, (level, width) in PRESETS.items()],
        "network": network._asdict() if network else None,
        "resampled": resampled,
        "mixed": 0 < synthetic < len(slices),
        "counts": counts,
        "slices": [
            one._asdict() | {name: getattr(one, name) is not None for name in packed} | {"probabilities": _round(one)}
            for one in slices
        ],
    }
    parts = {
        "policy": f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; "
        "base-uri 'none'; form-action 'none'",
        "paper": TITLE,
        "title": "PHANTOM: head CT through a window" if synthetic else "Head CT through a window",
        "kind": _kind(synthetic, len(slices), network),
        "style": style,
        "script": script,
        "data": json.dumps(data, allow_nan=False).replace("<", "\\u003c"),
    }
    before, _, after = html.partition("{{pixels}}\n")
    file.write(_fill(before, parts))
    for number, one in enumerate(slices):
        for name in packed:
            if getattr(one, name) is not None:
                file.write(f'<script type="text/plain" id="{name}-{number}">{getattr(one, name)}</script>\n')
    file.write(_fill(after, parts))


def _kind(synthetic: int, slices: int, network: Answering | None) -> str:
    """What the banner says of the slices."""
    if synthetic == slices:
        return "PHANTOM: synthetic slices"
    if synthetic:
        return f"PHANTOM: {synthetic} of {slices} slices are synthetic"
    return "Network trained on a PHANTOM" if network and network.phantom else ""


def _round(one: Shown) -> list[float] | None:
    return one.probabilities and [round(share, 5) for share in one.probabilities]


def _fill(template: str, parts: dict[str, str]) -> str:
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], template)


def _read(name: str) -> str:
    return (PAGE / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
