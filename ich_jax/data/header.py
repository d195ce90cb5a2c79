"""Values of a DICOM header that may be missing, empty, doubled or damaged, and the words for it."""

import math
from typing import Any

import pydicom
from pydicom.multival import MultiValue

PHANTOM_MARK = "ICH_JAX_PHANTOM"  # in every synthetic file's header, so that none passes for a real slice
GENERATOR_TITLE = "GENERATOR "  # and its version, beside it


class Refused(Exception):
    """Why a slice is not read, in DICOM's words; becomes a `dicom.SliceError` that names the file."""


def printable(identifier: str) -> str:
    """Nothing in place of what a table cannot hold."""
    return identifier if identifier.isprintable() else ""


def generator_of(dataset: pydicom.Dataset) -> str:
    """Of a phantom's file the version of what drew it, "" of a real slice."""
    if dataset.file_meta.get("ImplementationVersionName") != PHANTOM_MARK:
        return ""
    version = str(dataset.file_meta.get("SourceApplicationEntityTitle") or "").removeprefix(GENERATOR_TITLE)
    return version if version.isdecimal() else "1"  # which wrote none


def text_of(dataset: pydicom.Dataset, tag: str) -> str:
    """A value of plain letters (CS, DS, IS, UI; several are joined by backslashes) from the bytes of the file, "" if
    there is none. pydicom's own objects for them cost more time than a slice has."""
    element = dataset.get_item(tag)
    value = b"" if element is None or element.value is None else element.value
    return (value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)).strip(" \0")


def one_value(dataset: pydicom.Dataset, tag: str) -> Any:
    """The one value of a tag, as pydicom has it. This and the next two raise Refused for anything else."""
    try:
        value = dataset[tag].value
    except Exception:  # whatever a value that is none of its type raises
        raise Refused(f"has a damaged {tag}") from None
    if value is None or value == "" or value == b"":
        raise Refused(f"has an empty {tag}")
    if isinstance(value, MultiValue | list):
        raise Refused(f"has {len(value)} values of {tag} instead of 1")
    return value


def integer(dataset: pydicom.Dataset, tag: str) -> int:
    value = one_value(dataset, tag)
    try:
        return int(value)
    except (TypeError, ValueError):
        raise Refused(f"has a {tag} that is no whole number") from None


def decimal(dataset: pydicom.Dataset, tag: str) -> float:
    values = decimals(dataset, tag)
    if len(values) != 1:
        raise Refused(f"has {len(values)} values of {tag} instead of 1")
    return values[0]


def numbers(dataset: pydicom.Dataset, tag: str) -> list[float]:
    """Finite decimal strings; none if the tag is missing, empty or damaged."""
    try:
        values = decimals(dataset, tag)
    except Refused:
        return []
    return values if all(map(math.isfinite, values)) else []


def decimals(dataset: pydicom.Dataset, tag: str) -> list[float]:
    text = text_of(dataset, tag)
    if not text:
        raise Refused(f"has an empty {tag}")
    try:
        return [float(part) for part in text.split("\\")]
    except ValueError:
        raise Refused(f"has a {tag} that is no decimal number: {text[:40]!r}") from None
