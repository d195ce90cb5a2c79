"""Synthetic patients, and their slices written in RSNA's own layout and with its quirks.

Everything is decided by (slices, seed, prevalence, clean): `plan` draws every patient, in order; `write_patient` draws
and writes the slices of one, alone, so the bytes do not depend on how many processes share the work.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ich_jax.paper.printed import TYPES
from ich_jax.phantom import bleeds
from ich_jax.phantom.bleeds import Bleed
from ich_jax.phantom.clutter import Clutter
from ich_jax.phantom.domains import GENERATOR, choose
from ich_jax.phantom.head import Head
from ich_jax.phantom.scanner import (
    ODD_SHAPES,
    RARE_FORMATS,
    USUAL_SHAPE,
    Format,
    Identity,
    Scanner,
    scan,
    store,
    to_dicom,
)

# Shares of the single-type slices. RSNA's are Table 1 of the paper: 89.5 % show no hemorrhage, 0.24 % an epidural one.
PREVALENCE = {
    "rsna": {
        "epidural": 0.0024,
        "intraparenchymal": 0.0217,
        "intraventricular": 0.0137,
        "subarachnoid": 0.0228,
        "subdural": 0.0447,
    },
    "teaching": dict.fromkeys(TYPES, 0.11),
}
MOST_BLEEDS = 4  # of a patient, companions not counted
COMPANION = {"rsna": 0.75, "teaching": 0.0}  # chance that a second type comes with the first, as in real patients
EASE = {"rsna": 1.0, "teaching": 5.0}  # see bleeds.draw
OFTEN_TOGETHER = {
    "epidural": "subarachnoid",
    "intraparenchymal": "intraventricular",
    "intraventricular": "intraparenchymal",
    "subarachnoid": "subdural",
    "subdural": "subarachnoid",
}
SLICES_PER_PATIENT = {"rsna": (20, 40), "teaching": (11, 13)}
SLICE_MM = 7.0  # of "teaching", whose scans are a part of the head: more patients in a small data set
DUPLICATED = 4  # IDs that RSNA's label file lists twice, all without hemorrhage
SMALLEST_WITH_QUIRKS = 100  # slices; below that the rare formats and the damaged files would be too much of the whole
NOISE_FROM = 333 / 512  # of the rows, as in RSNA's ID_b79eed528
CUT_AT = 153_710 / 524_288  # of the bytes, as in RSNA's ID_6431af929


class Truth(NamedTuple):
    """A row of truth.csv: what was put into one slice."""

    image_id: str
    patient_id: str
    study_id: str
    height_mm: float  # above the third ventricle
    types: str  # joined by +, or "none"
    epidural_mm2: float  # area of the blood in the slice
    intraparenchymal_mm2: float
    intraventricular_mm2: float
    subarachnoid_mm2: float
    subdural_mm2: float
    format: str
    damage: str  # "", "truncated" or "noise"
    generator: str  # its version

    @property
    def kinds(self) -> tuple[str, ...]:
        return () if self.types == "none" else tuple(self.types.split("+"))


@dataclass(frozen=True)
class PlannedSlice:
    """One slice to draw; `format` None is the scanner's usual one."""

    image_id: str
    height_mm: float
    format: Format | None = None
    shape: tuple[int, int] = USUAL_SHAPE
    damage: str = ""


@dataclass(frozen=True)
class Patient:
    """A patient with one study of one series."""

    number: int
    head: Head
    clutter: Clutter
    scanner: Scanner
    bleeds: tuple[Bleed, ...]
    slice_mm: float
    slices: tuple[PlannedSlice, ...]


def plan(
    slices: int, seed: int, prevalence: str = "rsna", clean: bool = False, domain: str = "usual", without: str = ""
) -> list[Patient]:
    """Draw the patients of a data set, without a single pixel.

    Args:
        slices: how many in all; 20 to 40 of them make a patient.
        seed: decides everything else.
        prevalence: a key of PREVALENCE. Patients get the types that are most behind their share so far, so that a small
            data set comes close to it, too.
        clean: leave out the truncated file and the one of noise.
        domain, without: see domains.py.
    """
    drawn_from = choose(domain, without)
    rng = np.random.default_rng([seed, 0])
    odd = _odd_ones(slices, rng, clean)
    patients, planned, first = [], Counter(), 0
    for number, count in enumerate(_counts(slices, *SLICES_PER_PATIENT[prevalence], rng)):
        own = np.random.default_rng([seed, 1, number])
        head, scanner = Head.draw(own, drawn_from), Scanner.draw(own, drawn_from)
        highest, lowest = head.scan_mm
        slice_mm = (highest - lowest) / count
        if prevalence == "teaching":
            highest -= own.uniform(0, max(highest - lowest - count * SLICE_MM, 0))
            slice_mm = min(slice_mm, SLICE_MM)
        heights = [highest - slice_mm * (k + 0.5) for k in range(count)]
        chosen = _choose_bleeds(head, heights, prevalence, planned, own, drawn_from.subtle)
        patients.append(
            Patient(
                number,
                head,
                Clutter.draw(own, head.atrophy, drawn_from.clutter),
                scanner,
                tuple(chosen),
                slice_mm,
                tuple(
                    PlannedSlice(_identifier(seed, first + k, 9), round(height, 3), **odd.get(first + k, {}))
                    for k, height in enumerate(heights)
                ),
            )
        )
        first += count
    return patients


def _counts(slices: int, least: int, most: int, rng: np.random.Generator) -> list[int]:
    """Slices of each patient, from `least` to `most` wherever the sum allows it."""
    counts = []
    while sum(counts) < slices:
        counts.append(int(rng.integers(least, most + 1)))
    surplus = sum(counts) - slices
    if counts[-1] - surplus < least and len(counts) > 1:  # the last one is left with too few: the others share them
        surplus = -(slices - sum(counts[:-1]))
        counts.pop()
    k = 0
    while surplus:
        step = 1 if surplus > 0 else -1
        if least <= counts[k % len(counts)] - step <= most or k >= 20 * len(counts):
            counts[k % len(counts)] -= step
            surplus -= step
        k += 1
    return counts


def _choose_bleeds(
    head: Head, heights: list[float], prevalence: str, planned: Counter, rng: np.random.Generator, subtle: bool
) -> list[Bleed]:
    """The bleeds of the next patient; `planned` counts the slices of each type so far and is brought up to date."""
    shares, ease, chosen = PREVALENCE[prevalence], EASE[prevalence], []
    planned["all"] += len(heights)
    for _ in range(MOST_BLEEDS):
        so_far = planned + _single(head, heights, chosen)
        behind = {kind: shares[kind] * planned["all"] - so_far[kind] for kind in TYPES}
        kind = max(behind, key=behind.get)
        usual = 0.25 * len(heights)  # a bleed spans about a quarter of the slices
        if behind[kind] < usual * rng.uniform(0.3, 0.7):
            break
        # Of a few places the one that leaves most slices with a single type.
        options = [bleeds.draw(kind, head, rng, ease, subtle) for _ in range(12 if chosen else 4)]
        chosen.append(max(options, key=lambda bleed: sum(_single(head, heights, [*chosen, bleed]).values())))
        if rng.random() < COMPANION[prevalence]:
            chosen.append(bleeds.draw(OFTEN_TOGETHER[kind], head, rng, ease, subtle))
    planned.update(_single(head, heights, chosen))
    return chosen


def _single(head: Head, heights: list[float], chosen: list[Bleed]) -> Counter:
    """How many slices will show each type alone."""
    counts = Counter()
    for height in heights:
        # The slice is tilted: how high it is in the head depends on where one looks.
        places = [(bleed, head.z_of(height, *bleed.centre[:2])) for bleed in chosen]
        kinds = {bleed.kind for bleed, z in places if bleed.slices_mm[0] < z < bleed.slices_mm[1]}
        if len(kinds) == 1:
            counts.update(kinds)
    return counts


def _odd_ones(slices: int, rng: np.random.Generator, clean: bool) -> dict[int, dict]:
    """Slice number → what is unusual about it."""
    if slices < SMALLEST_WITH_QUIRKS:
        return {}
    order = iter(rng.permutation(slices).tolist())
    odd = {}
    for fmt, share in RARE_FORMATS:
        for _ in range(max(1, round(share * slices))):
            odd[next(order)] = {"format": fmt}
    for k in range(max(3, round(269 / 752_803 * slices))):
        odd[next(order)] = {"shape": ODD_SHAPES[k % len(ODD_SHAPES)]}
    if not clean:
        odd[next(order)] = {"damage": "truncated"}
        odd[next(order)] = {"damage": "noise"}
    return odd


def _identifier(seed: int, number: int, digits: int) -> str:
    """`ID_` and hexadecimal digits; no two numbers below 16^digits share one (the factor is odd)."""
    return f"ID_{(number * 0x9E3779B1 + seed * 0x85EBCA6B + 0xC2B2AE35) % 16**digits:0{digits}x}"


def write_patient(patient: Patient, seed: int, folder: Path) -> list[Truth]:
    """Draw the slices of one patient and write them into `folder`; returns their rows of truth.csv."""
    number = patient.number
    patient_id = _identifier(seed, number, 8)
    study_id, series_id = (_identifier(seed, 2 * number + k, 10) for k in (0, 1))
    truths = []
    for k, planned in enumerate(patient.slices):
        rng = np.random.default_rng([seed, 2, number, k])
        where = planned.height_mm, patient.slice_mm
        hu, areas = scan(patient.head, patient.bleeds, patient.scanner, *where, rng, planned.shape, patient.clutter)
        fmt = planned.format or patient.scanner.format
        spacing = patient.scanner.spacing_mm * max(USUAL_SHAPE) / max(planned.shape)
        stored = store(hu, fmt)
        if planned.damage == "noise":
            start = round(NOISE_FROM * len(stored))
            stored[start:] = rng.integers(0, 2**fmt.bits, stored[start:].shape, np.uint16).view(stored.dtype)
        corner = [-spacing * (n - 1) / 2 for n in planned.shape[::-1]]
        who = Identity(planned.image_id, patient_id, study_id, series_id)
        data = to_dicom(stored, fmt, who, spacing, (*corner, planned.height_mm), patient.head.tilt)
        if planned.damage == "truncated":
            data = data[: len(data) - round((1 - CUT_AT) * stored.nbytes)]
        path = folder / f"{planned.image_id}.dcm"
        partial = path.with_suffix(".partial")
        partial.write_bytes(data)
        partial.replace(path)
        truths.append(
            Truth(
                planned.image_id,
                patient_id,
                study_id,
                planned.height_mm,
                "+".join(kind for kind in TYPES if kind in areas) or "none",
                *(round(areas.get(kind, 0.0), 1) for kind in TYPES),
                f"{fmt.bits}-bit {'signed' if fmt.signed else 'unsigned'} {fmt.intercept}"
                f" {'explicit' if fmt.explicit else 'implicit'} {planned.shape[0]}x{planned.shape[1]}",
                planned.damage,
                str(GENERATOR),
            )
        )
    return truths
