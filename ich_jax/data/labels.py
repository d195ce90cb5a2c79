"""The RSNA label CSV → one class per slice (paper: Materyal).

The file has a row for each image and type, `ID_0fe31b044_epidural,0`: five hemorrhage types and `any`. Tables made
from it are often wide: a row for each image, a column for each type. Both are read, packed as .gz or .zip as well.

The paper keeps the slices with no hemorrhage or exactly one type, which makes six classes.
"""

import csv
import gzip
import io
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from ich_jax.paper.printed import CLASSES, TYPES
from ich_jax.plumbing.command import InputError

ENCODING = "utf-8-sig"  # a spreadsheet puts a byte order mark before the header

_ID_COLUMNS = ("id", "image", "image_id", "imageid", "filename", "file", "sopinstanceuid", "sop_instance_uid")
_ENDINGS = frozenset({"dcm", "dicom", "ima", "png", "jpg", "jpeg"})
_VALUES = {"0": 0, "1": 1, "0.0": 0, "1.0": 1}  # a column that once lacked a value is written as floats

_BIT = {name: 1 << k for k, name in enumerate((*TYPES, "any"))}
_ALL_SEEN = (1 << len(_BIT)) - 1
_SHIFT = len(_BIT)  # an image's state is seen-bits above value-bits, in one small int: 750,000 of them fit in memory

_GZIP = b"\x1f\x8b"  # RFC 1952, 2.3.1
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")  # PKWARE APPNOTE 4.3.7; 4.3.16 for a zip that holds nothing
_DAMAGE = (gzip.BadGzipFile, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError)

Cell = tuple[int, str, str, str]  # of either form: row number, image ID, type or "any", the value as written


class LabelsError(InputError):
    """A label file that does not mean what it should. The message has the row number (the header is row 1)
    where a row is to blame."""


@dataclass(frozen=True)
class Labels:
    """`image_class`: image ID → class name, single-type and 'none' only. `multi_type`: image ID → its types.
    `duplicates`: IDs that the file lists more than once (alike each time). All in file order.
    `notes`: what the reader should be told, a sentence each, such as which columns were ignored."""

    image_class: dict[str, str]
    multi_type: dict[str, tuple[str, ...]]
    duplicates: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def class_counts(self) -> dict[str, int]:
        """Slices per class, in the order of CLASSES."""
        counts = Counter(self.image_class.values())
        return {name: counts[name] for name in CLASSES}


def bare_id(name: str) -> str:
    """An image's ID without the ending of the file that it names: .dcm, .dicom, .ima, .png, .jpg or .jpeg, in any case.

    >>> bare_id("ID_0fe31b044.dcm"), bare_id("scan.7.JPEG")
    ('ID_0fe31b044', 'scan.7')
    >>> bare_id("1.2.840.113")  # a UID has dots and no ending
    '1.2.840.113'
    """
    stem, _, ending = name.rpartition(".")
    return stem if stem and ending.lower() in _ENDINGS else name


def read_labels(path: str | Path) -> Labels:
    """Read a label table: CSV in UTF-8, as it is or packed as .gz or as the only CSV of a .zip (its content tells).

    The long form has the columns `ID,Label` and rows such as `ID_0fe31b044_epidural,0`. The wide form has a column for
    the ID (ID, image, image_id, imageid, filename, file, sopinstanceuid or sop_instance_uid) and one for each of the
    five types and `any`, in any order; other columns are ignored, and `notes` says which. Case and surrounding spaces
    do not matter in the header. Values are 0, 1, 0.0 or 1.0. Of an ID, `bare_id` is kept.

    Raises LabelsError, with the row number, for: another header, or one with a column missing or doubled; a row with
    too few or too many fields, an unknown type or another value; two rows that disagree; an image that lacks a type;
    `any` that is not the OR of the five. Without a row: for a file that is not such a CSV, is damaged or encrypted.
    """
    with open(path, "rb") as file:
        return open_labels(file, str(path))


def open_labels(file: BinaryIO, name: str) -> Labels:
    """`read_labels` for a file that is already open, such as a member of a zip.

    Args:
        file: bytes, seekable, at its start. It stays open.
        name: for the errors and notes.

    Raises LabelsError as `read_labels` does, and if the zip that `file` comes from is damaged there.
    """
    try:
        with _unpacked(file, name) as plain:
            lines = io.TextIOWrapper(plain, ENCODING, newline="")
            try:
                return parse_labels(lines, name)
            except LabelsError:
                if isinstance(plain, gzip.GzipFile | zipfile.ZipExtFile):
                    while plain.read(2**20):  # the checksum is at the end: if that is wrong, the row is not to blame
                        pass
                raise
            finally:
                lines.detach()
    except _DAMAGE as error:
        raise LabelsError(f"{name}: damaged or incomplete: {str(error) or 'it ends too early'}") from None


@contextmanager
def _unpacked(file: BinaryIO, name: str) -> Iterator[BinaryIO]:
    magic = file.read(4)
    file.seek(0)
    if magic.startswith(_GZIP):
        with gzip.GzipFile(fileobj=file) as plain:
            yield plain
    elif magic in _ZIP:
        try:
            archive = zipfile.ZipFile(file)
            plain = archive.open(_only_csv(archive, name))
        except (ValueError, OSError) as error:  # wrong offsets lead to places before the file's start
            raise zipfile.BadZipFile(str(error)) from None
        with archive, plain:
            yield plain
    else:
        yield file


def _only_csv(archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    tables = [info for info in archive.infolist() if info.filename.lower().endswith(".csv")]
    tables = [info for info in tables if not _is_of_macos(PurePosixPath(info.filename))]
    if len(tables) != 1:
        raise LabelsError(f"{name}: the zip must hold exactly one .csv file, found {len(tables)}")
    if tables[0].flag_bits & 0x1:
        raise LabelsError(f"{name}: the zip is encrypted; unpack it and give the .csv file")
    if tables[0].compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise LabelsError(f"{name}: the zip is compressed in an unusual way; unpack it and give the .csv file")
    return tables[0]


def _is_of_macos(path: PurePosixPath) -> bool:
    """macOS packs a file's attributes beside it, under the file's own ending."""
    return "__MACOSX" in path.parts or path.name.startswith("._")


def parse_labels(lines: Iterable[str], name: str) -> Labels:
    """`read_labels` for text that is already decoded; `name` is for the errors and notes."""
    try:
        return _parse(csv.reader(lines), name)
    except UnicodeDecodeError:
        raise _not_text(name) from None
    except csv.Error as error:
        raise LabelsError(f"{name}: not a CSV file: {error}") from None


def _not_text(name: str) -> LabelsError:
    return LabelsError(f"{name}: not a text file in UTF-8; in a spreadsheet, save it as 'CSV UTF-8'")


def _parse(rows: Iterator[list[str]], name: str) -> Labels:
    header = [" ".join(cell.split()) for cell in next(rows, [])]
    if any("\0" in cell for cell in header):  # UTF-16 without a byte order mark
        raise _not_text(name)
    if [cell.lower() for cell in header] == ["id", "label"]:
        ignored = []
        cells = _long_cells(rows, name)
    else:
        columns = _find_columns(header, name)
        ignored = [cell or "(no name)" for k, cell in enumerate(header) if k not in columns.values()]
        cells = _wide_cells(rows, len(header), columns, name)
    states, duplicates = _collect(cells, name)
    notes = (f"{name}: columns ignored: {', '.join(ignored)}",) if ignored else ()
    return _sort_out(states, duplicates, notes)


def _find_columns(header: list[str], name: str) -> dict[str, int]:
    """Where the wide form has its ID and each type: "ID", the types and "any" → place in the header."""
    where = f"{name}, row 1:"
    columns = [cell.lower() for cell in header]
    if not any(kind in columns for kind in _BIT):
        either = f"'ID,Label', or an ID column and {', '.join(_BIT)}"
        raise LabelsError(f"{where} the header must be {either}; found {','.join(header)!r}")
    ids = [column for column in columns if column in _ID_COLUMNS]
    if len(ids) != 1:
        raise LabelsError(f"{where} needs one ID column ({' or '.join(_ID_COLUMNS)}), found {', '.join(ids) or 'none'}")
    for kind in _BIT:
        if columns.count(kind) != 1:
            raise LabelsError(f"{where} {'several columns' if kind in columns else 'no column'} {kind!r}")
    return {"ID": columns.index(ids[0])} | {kind: columns.index(kind) for kind in _BIT}


def _long_cells(rows: Iterable[list[str]], name: str) -> Iterator[Cell]:
    for number, row in enumerate(rows, start=2):
        if not row:
            continue
        if len(row) != 2:
            raise LabelsError(f"{name}, row {number}: expected 2 fields, found {len(row)}")
        image_id, _, kind = row[0].rpartition("_")  # the last underscore: IDs have one too
        if kind not in _BIT or not image_id:
            raise LabelsError(f"{name}, row {number}: {row[0]!r} does not end in one of {', '.join(_BIT)}")
        yield number, bare_id(image_id), kind, row[1]


def _wide_cells(rows: Iterable[list[str]], width: int, columns: dict[str, int], name: str) -> Iterator[Cell]:
    for number, row in enumerate(rows, start=2):
        if not row:
            continue
        if len(row) != width:
            raise LabelsError(f"{name}, row {number}: expected {width} fields, found {len(row)}")
        image_id = bare_id(row[columns["ID"]])
        if not image_id:
            raise LabelsError(f"{name}, row {number}: the ID is empty")
        for kind in _BIT:
            yield number, image_id, kind, row[columns[kind]]


def _collect(cells: Iterable[Cell], name: str) -> tuple[dict[str, int], tuple[str, ...]]:
    """Image ID → state, and the IDs that come more than once."""
    states: dict[str, int] = {}
    last_row: dict[str, int] = {}  # only of images not yet complete, so it stays small
    duplicates: dict[str, None] = {}
    for number, image_id, kind, text in cells:
        value = _VALUES.get(text)
        if value is None:
            raise LabelsError(f"{name}, row {number}: {kind} of {image_id} must be 0 or 1, found {text!r}")
        bit = _BIT[kind]
        state = states.get(image_id, 0)
        if state >> _SHIFT & bit:
            if bool(state & bit) != value:
                raise LabelsError(
                    f"{name}, row {number}: {kind} of {image_id} is {value} here and was {1 - value} before"
                )
            duplicates[image_id] = None
            continue
        state |= bit << _SHIFT | bit * value
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
    return states, tuple(duplicates)


def _sort_out(states: dict[str, int], duplicates: tuple[str, ...], notes: tuple[str, ...]) -> Labels:
    image_class, multi_type = {}, {}
    for image_id, state in states.items():
        types = tuple(kind for kind in TYPES if state & _BIT[kind])
        if len(types) > 1:
            multi_type[image_id] = types
        else:
            image_class[image_id] = types[0] if types else "none"
    return Labels(image_class, multi_type, duplicates, notes)
