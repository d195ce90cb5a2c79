"""Where slices come from: a Kaggle-shaped folder, or the Kaggle zip read in place."""

import io
import os
import struct
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ich_jax.data.dicom import MAX_FILE_BYTES, SliceError
from ich_jax.data.labels import ENCODING, Labels, parse_labels, read_labels
from ich_jax.plumbing.command import InputError

FOLDERS = ("stage_2_train", "stage_2_train_images", "stage_1_train", "stage_1_train_images")
KAGGLE_ROOT = "rsna-intracranial-hemorrhage-detection"

Member = Path | zipfile.ZipInfo


@dataclass(frozen=True)
class Source:
    """Labels, and where to find each slice: `members` maps image ID (the file's name) to a path or a zip entry."""

    labels: Labels
    members: dict[str, Member]
    archive: Path | None  # the zip, if the source is one


def open_source(path: str | Path, labels_csv: str | Path | None = None) -> Source:
    """Find the slices and the labels of a folder or zip in Kaggle's layout.

    Args:
        path: a folder or a zip with `stage_2_train/*.dcm` (or an older name, see FOLDERS) and `stage_2_train.csv`,
            at its top or inside one folder named as Kaggle's; or, with `labels_csv`, a folder of .dcm files.
        labels_csv: labels from elsewhere.

    Raises:
        InputError: nothing of the kind is there, the zip is damaged, or the labels are (LabelsError).
    """
    path = Path(path)
    if path.is_dir():
        return _open_folder(path, labels_csv)
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    if not zipfile.is_zipfile(path):
        raise InputError(f"{path}: neither a folder nor a (complete) zip file")
    return _open_zip(path, labels_csv)


def _open_folder(path: Path, labels_csv: str | Path | None) -> Source:
    roots = [root for root in (path, path / KAGGLE_ROOT) if root.is_dir()]
    folders = [root / name for root in roots for name in FOLDERS if (root / name).is_dir()]
    folder = folders[0] if folders else path
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if entry.name.endswith(".dcm") and entry.is_file())
    if not names:
        raise InputError(f"{folder}: holds no .dcm files; expected {FOLDERS[0]}/ID_….dcm as in the Kaggle download")
    if labels_csv is None:
        labels_csv = folder.parent / _csv_name(folder.name)
        if not labels_csv.is_file():
            raise InputError(f"{labels_csv}: not found; give the label CSV with --labels")
    return Source(read_labels(labels_csv), {name.removesuffix(".dcm"): folder / name for name in names}, None)


def _open_zip(path: Path, labels_csv: str | Path | None) -> Source:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = {info.filename: info for info in archive.infolist()}
            prefixes = [f"{root}{name}/" for root in ("", f"{KAGGLE_ROOT}/") for name in FOLDERS]
            slices = [name for name in entries if name.endswith(".dcm")]
            prefix = next((prefix for prefix in prefixes if any(name.startswith(prefix) for name in slices)), None)
            if prefix is None:
                raise InputError(f"{path}: holds no {KAGGLE_ROOT}/{FOLDERS[0]}/ID_….dcm, so it is not the Kaggle zip")
            members = {
                name.removeprefix(prefix).removesuffix(".dcm"): entries[name]
                for name in sorted(slices)
                if name.startswith(prefix) and "/" not in name.removeprefix(prefix)
            }
            if labels_csv is not None:
                return Source(read_labels(labels_csv), members, path)
            csv_name = f"{prefix.rsplit('/', 2)[0]}/" if prefix.count("/") > 1 else ""
            csv_name += _csv_name(prefix.split("/")[-2])
            if csv_name not in entries:
                raise InputError(f"{path}: holds no {csv_name}; give the label CSV with --labels")
            with io.TextIOWrapper(archive.open(csv_name), ENCODING, newline="") as lines:
                return Source(parse_labels(lines, f"{path}/{csv_name}"), members, path)
    except (zipfile.BadZipFile, zlib.error, EOFError, UnicodeDecodeError, NotImplementedError, RuntimeError) as error:
        raise InputError(f"{path}: damaged or unsupported zip: {error}") from None


def _csv_name(folder: str) -> str:
    return folder.removesuffix("_images") + ".csv"


def read_entry(archive: BinaryIO, info: zipfile.ZipInfo) -> bytes:
    """One zip entry's bytes, checked against its CRC, from the archive opened as a plain binary file.

    Workers get the entry they need and not a ZipFile each, which would read the directory of the whole archive
    (870,000 entries for RSNA) into every one of them.

    Raises SliceError if the entry is too large, encrypted or damaged.
    """
    if info.file_size > MAX_FILE_BYTES:
        raise SliceError(info.filename, f"larger than {MAX_FILE_BYTES // 2**20} MiB, not a single CT slice")
    if info.flag_bits & 0x1:
        raise SliceError(info.filename, "is encrypted")
    try:
        archive.seek(info.header_offset)
        # The entry's own header (PKWARE APPNOTE 4.3.7): 30 bytes, the last four the lengths of name and extra field.
        name_length, extra_length = struct.unpack("<26xHH", archive.read(30))
        archive.seek(name_length + extra_length, os.SEEK_CUR)
        with zipfile.ZipExtFile(archive, "r", info) as entry:
            return entry.read()
    except (zipfile.BadZipFile, struct.error, zlib.error, EOFError, NotImplementedError) as error:
        raise SliceError(info.filename, f"damaged in the zip: {error}") from None


def find_files(paths: Iterable[Path]) -> list[Path]:
    """The paths themselves; for a folder, every .dcm file below it.

    Raises InputError for a folder without any.
    """
    files = []
    for path in paths:
        below = sorted(path.rglob("*.dcm")) if path.is_dir() else [path]
        if not below:
            raise InputError(f"{path}: holds no .dcm files")
        files += below
    return files
