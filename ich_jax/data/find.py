"""Finding slices, in folders of any depth and in zips: by what a file holds, not by what it is called.

A file whose name ends as DICOM files do claims to be a slice, and so does any other that begins as DICOM does. All else
is left out and counted.
"""

import os
import struct
import zipfile
import zlib
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ich_jax.data.dicom import (
    DICOMDIR,
    HEAD_BYTES,
    MAX_FILE_BYTES,
    SliceError,
    StoredSlice,
    looks_like_dicom,
    read_stored,
)
from ich_jax.plumbing.command import InputError

SLICE_ENDINGS = (".dcm", ".dicom", ".ima")
ZIP = (b"PK\3\4", b"PK\5\6")  # how a zip begins, the second if it is empty
ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, UnicodeDecodeError, NotImplementedError)

# Why a file is left out, in words that go after a number.
NOT_DICOM, MACOS, DIRECTORY = "not DICOM", "of macOS (._*, __MACOSX)", "DICOMDIR"
NOTHING, AGAIN = "folder or zip without DICOM", "slice reached twice"
IRREGULAR, INNER_ZIP, TWICE = "no regular file (link to nowhere, FIFO, socket, device)", "zip file", "twice in the zip"


class Entry(NamedTuple):
    """A file in a zip: what is needed to read it without the zip's directory (870,000 entries for RSNA)."""

    archive: Path
    name: str
    offset: int
    packed_bytes: int
    size_bytes: int
    crc: int
    method: int
    flags: int

    def __str__(self) -> str:
        return f"{self.archive}/{self.name}"


Member = Path | Entry


class Listing(NamedTuple):
    """Files of a folder or zip by their names in it, with `/` in them, sorted; `left_out` counts the others by why."""

    files: dict[str, Member]
    left_out: Counter
    unreadable: tuple[Path, ...] = ()  # folders


def list_files(path: Path) -> Listing:
    """All regular files of a folder, links followed, or of a zip; what they hold is not looked at.

    Raises InputError if the zip is damaged, OSError if something cannot be read.
    """
    return _list_folder(path) if path.is_dir() else _list_zip(path)


def only_slices(listing: Listing) -> Listing:
    """What claims to be a slice."""
    files, left_out = {}, Counter(listing.left_out)
    for name, member in listing.files.items():
        reason = _why_left_out(name, member)
        if reason:
            left_out[reason] += 1
        else:
            files[name] = member
    return Listing(files, left_out, listing.unreadable)


class Found(NamedTuple):
    """The slices of some paths, how many other files were left out by why, and what is wrong with whole paths."""

    slices: list[Member]
    left_out: Counter
    damaged: list[str]


def find_slices(paths: Iterable[Path]) -> Found:
    """The slices below some folders and in some zips. Any other path is taken as it is; none is taken twice.

    Raises InputError if there is no slice at all.
    """
    found, left_out, damaged = {}, Counter(), []
    for path in paths:
        members: list[Member] = [path]
        if path.is_dir() or is_zip(path):
            try:
                slices = only_slices(list_files(path))
            except InputError as error:
                damaged.append(str(error))
                continue
            members = [*slices.files.values(), *slices.unreadable]  # reading the latter will say why they are not
            left_out += slices.left_out
            left_out[NOTHING] += not members
        for member in members:
            key = member if isinstance(member, Entry) else os.path.realpath(member)
            left_out[AGAIN] += key in found
            found.setdefault(key, member)
    if not found:
        left_out[NOTHING] = 0
        names = ", ".join(map(str, paths))
        raise InputError("; ".join(damaged) or f"{names}: holds no DICOM file{in_words(+left_out)}")
    return Found(list(found.values()), +left_out, damaged)


def in_words(left_out: Counter) -> str:
    """`; left out: …`, or nothing.

    >>> in_words(Counter({"DICOMDIR": 1, "not DICOM": 2}))
    '; left out: 1 DICOMDIR, 2 not DICOM'
    """
    if not left_out:
        return ""
    hint = "; zip files inside are not opened, unpack them first" if left_out[INNER_ZIP] else ""
    return "; left out: " + ", ".join(f"{count:,} {reason}" for reason, count in sorted(left_out.items())) + hint


def number_of(files: Sequence) -> str:
    """How many there are, as a person says it.

    >>> number_of(["a.dcm"])
    '1 file'
    """
    return f"{len(files):,} file{'s' * (len(files) != 1)}"


def is_zip(path: Path) -> bool:
    try:
        return path.is_file() and _head(path).startswith(ZIP)
    except OSError:
        return False


def read_member(member: Member) -> StoredSlice:
    """Raises SliceError, see `dicom.read_stored`."""
    return read_stored(read_entry(member), name=str(member)) if isinstance(member, Entry) else read_stored(member)


def read_entry(entry: Entry) -> bytes:
    """One zip entry's bytes, checked against its CRC. Raises SliceError if it is too large, encrypted or damaged."""
    if entry.size_bytes > MAX_FILE_BYTES:
        raise SliceError(str(entry), f"larger than {MAX_FILE_BYTES // 2**20} MiB, not a single CT slice")
    return _read_entry(entry, -1)


def _read_entry(entry: Entry, count: int) -> bytes:
    if entry.flags & 0x1:
        raise SliceError(str(entry), "is encrypted")
    try:
        with open(entry.archive, "rb") as archive, open_entry(archive, entry) as file:
            return file.read(count)
    except ZIP_ERRORS as error:
        raise SliceError(str(entry), f"damaged in the zip: {error}") from None


def open_entry(archive: BinaryIO, entry: Entry) -> zipfile.ZipExtFile:
    """An entry as a binary file, from the archive opened as one."""
    info = zipfile.ZipInfo(entry.name)
    info.compress_type, info.CRC, info.flag_bits = entry.method, entry.crc, entry.flags
    info.compress_size, info.file_size = entry.packed_bytes, entry.size_bytes
    archive.seek(entry.offset)
    # The entry's own header (PKWARE APPNOTE 4.3.7): 30 bytes, the last four the lengths of name and extra field.
    name_length, extra_length = struct.unpack("<26xHH", archive.read(30))
    archive.seek(name_length + extra_length, os.SEEK_CUR)
    return zipfile.ZipExtFile(archive, "r", info)


def _list_folder(root: Path) -> Listing:
    files, left_out, unreadable = {}, Counter(), []
    for name, entry in _walk(root, unreadable):
        if _is(entry.is_file):
            # As in a zip that was made on Windows; and a name that is no text is spelled out.
            spelled = name.replace("\\", "/").encode("utf-8", "backslashreplace").decode("utf-8")
            files[name if spelled in files else spelled] = Path(entry.path)
        else:
            left_out[by_name(name) or IRREGULAR] += 1
    return Listing(dict(sorted(files.items())), left_out, tuple(sorted(unreadable)))


def _is(kind: Callable[[], bool]) -> bool:
    try:
        return kind()
    except OSError:  # a link that leads to itself
        return False


def _walk(root: Path, unreadable: list[Path]) -> Iterator[tuple[str, os.DirEntry]]:
    """What is in a folder and below, but folders. Each folder is seen once, however many links lead to it or back to
    where they are, and by its own name if it has one. Folders that may not be read are added to `unreadable`."""
    seen, folders = set(), deque([("", os.fspath(root))])
    while folders:
        prefix, folder = folders.popleft()
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        try:
            entries = list(os.scandir(folder))
        except PermissionError:
            unreadable.append(Path(folder))
            continue
        for entry in entries:
            if not _is(entry.is_dir):
                yield prefix + entry.name, entry
            elif entry.is_symlink():
                folders.append((f"{prefix}{entry.name}/", entry.path))
            else:
                folders.appendleft((f"{prefix}{entry.name}/", entry.path))


def _list_zip(path: Path) -> Listing:
    files, left_out = {}, Counter()
    try:
        with zipfile.ZipFile(path) as archive:
            archive.NameToInfo.clear()
            while archive.filelist:  # each is let go of as it is read: 870,000 take half a gigabyte
                info = archive.filelist.pop()
                name = info.filename.replace("\\", "/").removeprefix("./").lstrip("/")
                if name.endswith("/"):
                    continue
                if name in files:
                    left_out[TWICE] += 1
                    continue
                where = info.header_offset, info.compress_size, info.file_size
                files[name] = Entry(path, info.filename, *where, info.CRC, info.compress_type, info.flag_bits)
    except (*ZIP_ERRORS, RuntimeError) as error:
        raise InputError(f"{path}: damaged or unsupported zip: {error}") from None
    return Listing(dict(sorted(files.items())), left_out)


def by_name(name: str) -> str:
    """Why a file is left out whatever it holds, or nothing."""
    *folders, last = name.split("/")
    if last.startswith("._") or "__MACOSX" in folders:
        return MACOS
    return DIRECTORY if last.upper() == "DICOMDIR" else ""


def _why_left_out(name: str, member: Member) -> str:
    reason = by_name(name)
    if reason or name.lower().endswith(SLICE_ENDINGS):
        return reason
    try:
        head = _read_entry(member, HEAD_BYTES) if isinstance(member, Entry) else _head(member)
    except (SliceError, OSError):
        return ""  # who reads it will say what is wrong
    if head.startswith(ZIP):
        return INNER_ZIP
    if not looks_like_dicom(head):
        return NOT_DICOM
    return DIRECTORY if DICOMDIR in head else ""


def _head(path: Path) -> bytes:
    with open(path, "rb") as file:
        return file.read(HEAD_BYTES)
