"""The RSNA label CSV → one class per slice (paper: Materyal).

The file has a row for each image and type, `ID_0fe31b044_epidural,0`: five hemorrhage types and `any`. The paper
keeps the slices with no hemorrhage or exactly one type, which makes six classes.
"""

import csv
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ich_jax.paper.printed import CLASSES, TYPES
from ich_jax.plumbing.command import InputError

ENCODING = "utf-8-sig"  # a spreadsheet puts a byte order mark before the header

_BIT = {name: 1 << k for k, name in enumerate((*TYPES, "any"))}
_ALL_SEEN = (1 << len(_BIT)) - 1
_SHIFT = len(_BIT)  # an image's state is seen-bits above value-bits, in one small int: 750,000 of them fit in memory


class LabelsError(InputError):
    """A label file that does not mean what it should. The message has the row number (the header is row 1)."""


@dataclass(frozen=True)
class Labels:
    """`image_class`: image ID → class name, single-type and 'none' only. `multi_type`: image ID → its types.
    `duplicates`: IDs that the file lists more than once (alike each time). All in file order."""

    image_class: dict[str, str]
    multi_type: dict[str, tuple[str, ...]]
    duplicates: tuple[str, ...]

    def class_counts(self) -> dict[str, int]:
        """Slices per class, in the order of CLASSES."""
        counts = Counter(self.image_class.values())
        return {name: counts[name] for name in CLASSES}


def read_labels(path: str | Path) -> Labels:
    """Read a label CSV with the columns `ID,Label`.

    Raises LabelsError, with the row number, for: another header; a row that is not `ID_type,0|1`; a type that is not
    known; two rows that disagree; an image that lacks a type; `any` that is not the OR of the five.
    """
    with open(path, encoding=ENCODING, newline="") as file:
        return parse_labels(file, str(path))


def parse_labels(lines: Iterable[str], name: str) -> Labels:
    """`read_labels` for text that is already open, such as a member of a zip; `name` is for the errors."""
    try:
        return _parse(csv.reader(lines), name)
    except UnicodeDecodeError:
        raise LabelsError(f"{name}: not a text file") from None
    except csv.Error as error:
        raise LabelsError(f"{name}: not a CSV file: {error}") from None


def _parse(rows: Iterable[list[str]], name: str) -> Labels:
    states: dict[str, int] = {}
    last_row: dict[str, int] = {}  # only of images not yet complete, so it stays small
    duplicates: dict[str, None] = {}
    rows = iter(rows)
    header = next(rows, None)
    if header != ["ID", "Label"]:
        raise LabelsError(f"{name}, row 1: the header must be 'ID,Label', found {','.join(header or [])!r}")
    for number, row in enumerate(rows, start=2):
        if not row:
            continue
        if len(row) != 2:
            raise LabelsError(f"{name}, row {number}: expected 2 fields, found {len(row)}")
        image_id, _, kind = row[0].rpartition("_")  # the last underscore: IDs have one too
        bit = _BIT.get(kind)
        if bit is None or not image_id:
            raise LabelsError(f"{name}, row {number}: {row[0]!r} does not end in one of {', '.join(_BIT)}")
        if row[1] not in ("0", "1"):
            raise LabelsError(f"{name}, row {number}: the label must be 0 or 1, found {row[1]!r}")
        value = bit if row[1] == "1" else 0
        state = states.get(image_id, 0)
        if state >> _SHIFT & bit:
            if state & bit != value:
                raise LabelsError(f"{name}, row {number}: {row[0]} is {row[1]} here and was {1 - int(row[1])} before")
            duplicates[image_id] = None
            continue
        state |= bit << _SHIFT | value
        states[image_id] = state
        if state >> _SHIFT != _ALL_SEEN:
            last_row[image_id] = number
            continue
        last_row.pop(image_id, None)
        if bool(state & _BIT["any"]) != bool(state & (_BIT["any"] - 1)):
            raise LabelsError(f"{name}, row {number}: for {image_id}, 'any' is not the OR of the five types")
    for image_id, number in last_row.items():
        missing = [kind for kind, bit in _BIT.items() if not states[image_id] >> _SHIFT & bit]
        raise LabelsError(f"{name}, row {number}: {image_id} has no row for {', '.join(missing)}")
    if not states:
        raise LabelsError(f"{name}: has a header and no rows")
    return _sort_out(states, tuple(duplicates))


def _sort_out(states: dict[str, int], duplicates: tuple[str, ...]) -> Labels:
    image_class, multi_type = {}, {}
    for image_id, state in states.items():
        types = tuple(kind for kind in TYPES if state & _BIT[kind])
        if len(types) > 1:
            multi_type[image_id] = types
        else:
            image_class[image_id] = types[0] if types else "none"
    return Labels(image_class, multi_type, duplicates)
