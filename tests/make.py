"""Small synthetic inputs: DICOM files with any header, Kaggle-shaped folders, prepared folders."""

import csv
import io
import math
import warnings
import zipfile
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pydicom
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from ich_jax.data.unfinished import Candidate, Unfinished
from ich_jax.paper.printed import CLASSES, TYPES


def make_dicom(
    stored: np.ndarray | None = None,
    *,
    explicit: bool = True,
    big_endian: bool = False,
    drop: tuple[str, ...] = (),
    **tags,
) -> bytes:
    """A DICOM file in RSNA's manner; `tags` replaces header fields, `drop` leaves some out."""
    if stored is None:
        stored = np.arange(64, dtype=np.int16).reshape(8, 8)
    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    native = ExplicitVRBigEndian if big_endian else ExplicitVRLittleEndian if explicit else ImplicitVRLittleEndian
    dataset.file_meta.TransferSyntaxUID = tags.pop("TransferSyntaxUID", native)
    fields = {
        "SOPInstanceUID": "ID_000000001",
        "Modality": "CT",
        "PatientID": "ID_0000000a",
        "StudyInstanceUID": "ID_00000000b",
        "SeriesInstanceUID": "ID_00000000c",
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": stored.shape[0],
        "Columns": stored.shape[1],
        "BitsAllocated": 16,
        "BitsStored": 16,
        "HighBit": 15,
        "PixelRepresentation": int(stored.dtype == np.int16),
        "RescaleIntercept": "-1024",
        "RescaleSlope": "1",
        "PixelData": (stored.byteswap() if big_endian else stored).tobytes(),
    } | tags
    with pydicom.config.disable_value_validation(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, value in fields.items():
            if name not in drop:
                setattr(dataset, name, value)
        if "PixelData" in dataset:
            dataset["PixelData"].VR = "OW"
            dataset["PixelData"].is_undefined_length = dataset.PixelData[:4] == b"\xfe\xff\x00\xe0"  # encapsulated
        buffer = io.BytesIO()
        dataset.preamble = bytes(128)
        # Forced, because some of these files are meant to be wrong.
        dataset.save_as(buffer, implicit_vr=not explicit, little_endian=not big_endian, force_encoding=True)
    return buffer.getvalue()


def write_labels(path: Path, types: dict[str, tuple[str, ...]]) -> Path:
    """A label CSV in Kaggle's layout from image ID → its hemorrhage types."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["ID", "Label"])
        for image_id, present in types.items():
            writer.writerows([f"{image_id}_{kind}", int(kind in present)] for kind in TYPES)
            writer.writerow([f"{image_id}_any", int(bool(present))])
    return path


def make_kaggle(folder: Path, count: int = 40, side: int = 48) -> Path:
    """A Kaggle-shaped folder: `count` labelled slices, one of each fourth damaged somehow, plus the odd ones out."""
    rng = np.random.default_rng(1)
    slices = folder / "stage_2_train"
    slices.mkdir(parents=True)
    types = {}
    for k in range(count):
        image_id = f"ID_{k:09x}"
        types[image_id] = (TYPES[k % 6 - 1],) if k % 6 else ()
        signed = bool(k % 2)
        shape = (side, side - 8 * (k % 5 == 0))
        ramp = np.linspace(0, 2400, shape[1]) * rng.uniform(0.3, 1)  # smooth: noise alone would be refused
        stored = (ramp + rng.integers(0, 100, shape)).astype(np.int16 if signed else np.uint16)
        data = make_dicom(
            stored,
            explicit=bool(k % 3),
            SOPInstanceUID=image_id,
            PatientID=f"ID_{k // 4:08x}",
            StudyInstanceUID=f"ID_{k // 4:010x}",
            BitsStored=16 if signed else 12,
            HighBit=15 if signed else 11,
            RescaleIntercept="0" if k % 7 == 0 else "-1024",
        )
        if k % 11 == 3:
            data = data[: len(data) // 2]
        (slices / f"{image_id}.dcm").write_bytes(data)
    types["ID_multi"] = ("epidural", "subdural")
    types["ID_gone"] = ()
    (slices / "ID_unlabelled.dcm").write_bytes(make_dicom())
    write_labels(folder / "stage_2_train.csv", types)
    return folder


def make_zip(folder: Path, path: Path, root: str = "rsna-intracranial-hemorrhage-detection/") -> Path:
    """A zip of a Kaggle-shaped folder, in Kaggle's layout."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, root + file.relative_to(folder).as_posix())
    return path


def make_prepared(path: Path, count: int = 96, size: int = 32, seed: int = 0) -> Path:
    """A prepared folder whose classes differ in colour, so that a network can learn them within seconds."""
    rng = np.random.default_rng(seed)
    classes = np.arange(count) % len(CLASSES)
    colours = np.array([[40, 40, 40], [220, 40, 40], [40, 220, 40], [40, 40, 220], [220, 220, 40], [40, 220, 220]])
    path.mkdir(parents=True)
    work = Unfinished(path, size, count, "toy")
    images = np.lib.format.open_memmap(work.images_path, mode="r+")
    images[:] = np.clip(colours[classes][:, None, None] + rng.integers(-30, 30, images.shape), 0, 255)
    images.flush()
    work.record(Candidate(k, f"patient {k // 4}", f"study {k // 4}", f"hash {k}", False, "") for k in range(count))
    work.finish([f"ID_{k:04}" for k in range(count)], [CLASSES[k] for k in classes], {}, {"duplicate_labels": 0})
    return path


def make_weights(like: Any, seed: int = 0) -> Any:
    """Values for a tree of described float32 arrays, quicker than a network's own: kernels that keep their input's
    size; scales and variances about 1, biases and means about 0, none of them as in a fresh network."""
    rng = np.random.default_rng(seed)

    def one(path: tuple, leaf: jax.ShapeDtypeStruct) -> np.ndarray:
        name = path[-2].key  # the last is Flax's box around the array
        if name == "kernel":
            return rng.normal(0, (2 / math.prod(leaf.shape[:-1])) ** 0.5, leaf.shape).astype(np.float32)
        return (rng.uniform(-0.3, 0.3, leaf.shape) + (name in ("scale", "var"))).astype(np.float32)

    return jax.tree.map_with_path(one, like)
