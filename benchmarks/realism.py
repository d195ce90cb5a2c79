"""`python -m benchmarks.realism PHANTOM_FOLDER REAL_FOLDER`: how synthetic slices differ from real ones.

No labels are needed, and what is found says nothing about hemorrhages: it is what any head shows. Each quantity is
measured in every slice; what is printed is the median and the 10th and 90th percentile over slices.

Slices that show no brain within bone (`head_measures` says what is taken for it) count for the pose only. Neighbours in
one study resemble each other, so no patient counts for more than a few slices.
"""

import argparse
import io
import warnings
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pydicom
from scipy.stats import ks_2samp

from benchmarks.head_measures import FREQUENCIES, HU, PROFILE_MM, measure
from benchmarks.machine import print_table, save
from ich_jax.data.dicom import SliceError, StoredSlice, pad_to_square, read_stored, require_picture
from ich_jax.data.find import Entry, Member, find_slices, in_words, is_zip, read_entry
from ich_jax.data.header import numbers
from ich_jax.paper.windowing import AIR_HU
from ich_jax.plumbing.command import InputError, run_command
from ich_jax.plumbing.files import write_whole_with
from ich_jax.show.figures import realism_panels

MORE = "more of the same patient"
QUANTITIES = {
    "brain_hu": ("brain: median HU", 1),
    "brain_low": ("  10th percentile of HU", 1),
    "brain_high": ("  90th percentile of HU", 1),
    "spread": ("  90th − 10th, noise smoothed away", 1),
    "above_50": ("  share above 50 HU (%)", 2),
    "above_60": ("  share above 60 HU (%)", 2),
    "rim": ("  2–5 mm from the bone minus deep (HU)", 1),
    "noise": ("noise: standard deviation (HU)", 2),
    "frequency": ("  mean frequency (cycles/mm)", 3),
    "inner_edge": ("10–90 % rise, brain to bone (mm)", 2),
    "skin_edge": ("10–90 % rise, air to skin (mm)", 2),
    "bone_hu": ("inner table: highest HU", 0),
    "skull": ("skull: thickness (mm)", 1),
    "scalp": ("scalp: thickness (mm)", 1),
    "width": ("head: width, share of the picture", 3),
    "length": ("  length, share of the picture", 3),
    "right": ("  centre to the right (mm)", 1),
    "down": ("  centre down (mm)", 1),
    "rotation": ("  turned clockwise (degrees)", 1),
}


def main(argv: list[str] | None = None) -> dict:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.realism", description=__doc__.splitlines()[0])
    parser.add_argument("phantom", metavar="PHANTOM_FOLDER", type=Path)
    parser.add_argument("real", metavar="REAL_FOLDER", type=Path)
    parser.add_argument("--slices", type=int, default=300, help="at most so many of each, evenly spaced (default: 300)")
    parser.add_argument("--per-patient", type=int, default=3, help="and of one patient (default: 3)")
    parser.add_argument("--picture", type=Path, help="PNG to write the four panels into")
    parser.add_argument("--json", type=Path, help="folder to write <device>.json into")
    args = parser.parse_args(argv)
    if min(args.slices, args.per_patient) < 1:
        parser.error("--slices and --per-patient must be at least 1")
    if args.picture and not args.picture.absolute().parent.is_dir():
        raise InputError(f"{args.picture}: there is no folder {args.picture.absolute().parent}")
    phantom = measure_folder(args.phantom, args.slices, args.per_patient, synthetic=True)
    real = measure_folder(args.real, args.slices, args.per_patient, synthetic=False)
    result = {}
    for name in QUANTITIES:
        a, b = phantom.values(name), real.values(name)
        result[name] = {"phantom": band(a), "real": band(b), "overlap": overlap(a, b)}
    rows = [(QUANTITIES[name][0], *_cells(row, QUANTITIES[name][1])) for name, row in result.items()]
    common = float(np.minimum(*(np.mean(side.curves("histogram"), axis=0) for side in (phantom, real))).sum())
    rows.insert(0, ("HU of the brain, histogram", "", "", f"{common:.2f}"))
    print_table(("median over slices (10–90 %)", "PHANTOM", "real", "overlap"), rows)
    print("  overlap: of the histograms, what they share; else 1 − the largest distance between the two cumulative")
    # The mean of Kolmogorov's distribution is √(π/2)·ln 2.
    by_chance = np.sqrt(np.pi / 2) * np.log(2) * np.sqrt(1 / phantom.counts["brain"] + 1 / real.counts["brain"])
    print("  distributions over slices (Kolmogorov and Smirnov): 1 alike, 0 apart; so few slices from one and the same")
    print(f"  source would reach about {max(1 - by_chance, 0):.2f}")
    if args.picture:
        _draw(args.picture, phantom, real)
    result |= {"histogram_overlap": common, "slices": {"phantom": phantom.counts, "real": real.counts}}
    if args.json:
        save(args.json, "realism", result)
    return result


class Measured(NamedTuple):
    """What was found in the slices of a folder: for each a dict of numbers (see QUANTITIES) and curves."""

    slices: list[dict]
    counts: dict[str, int]

    def values(self, name: str) -> np.ndarray:
        """(slices,) float64, without those in which it cannot be measured."""
        found = np.array([one.get(name, np.nan) for one in self.slices], float)
        return found[np.isfinite(found)]

    def curves(self, name: str) -> np.ndarray:
        """(slices, points) float64."""
        return np.array([one[name] for one in self.slices if name in one])


def measure_folder(folder: Path, most: int, per_patient: int, synthetic: bool) -> Measured:
    """Measure at most `most` slices, evenly spaced in the order of their names, and `per_patient` of one patient.

    Raises InputError if there is no brain, or a slice of the other sort.
    """
    if not folder.is_dir() and not is_zip(folder):
        raise InputError(f"{folder}: is no folder")
    found = find_slices([folder])
    members = sorted(found.slices, key=str)
    chosen = [members[k * len(members) // most] for k in range(most)] if len(members) > most else members
    slices, patients, left_out = [], Counter(), found.left_out
    for member in chosen:
        try:
            hu, spacing_mm, raw = read(member)
        except SliceError as error:
            left_out[error.reason] += 1
            continue
        if raw.synthetic != synthetic:
            what = "a phantom, but the second folder must hold real slices" if raw.synthetic else "no phantom"
            raise InputError(f"{member}: is {what}; the phantom's folder comes first")
        if patients[raw.patient_id] == per_patient:
            left_out[MORE] += 1
            continue
        patients[raw.patient_id] += 1
        slices.append(measure(hu, spacing_mm))
    brains = sum("brain_hu" in one for one in slices)
    title = "PHANTOM" if synthetic else "real"
    count = f"{len(slices):,} of {len(members):,} slices ({len(patients):,} patients) measured, {brains:,} show a brain"
    print(f"{title}: {count}{in_words(left_out)}", flush=True)
    if not brains:
        raise InputError(f"{folder}: no slice shows a brain within bone")
    counts = {"found": len(members), "measured": len(slices), "patients": len(patients), "brain": brains}
    return Measured(slices, counts)


def read(member: Member) -> tuple[np.ndarray, float, StoredSlice]:
    """HU (side, side) float32, the side of a pixel in mm, and the slice as stored. Raises SliceError."""
    name = str(member)
    try:
        data = read_entry(member) if isinstance(member, Entry) else member.read_bytes()
    except OSError as error:
        raise SliceError(name, f"cannot be read: {error.strerror}") from None
    raw = read_stored(data, name=name)
    require_picture(raw, name)
    header = pydicom.dcmread(io.BytesIO(data), stop_before_pixels=True, specific_tags=["PixelSpacing"], force=True)
    spacing = numbers(header, "PixelSpacing")
    if len(spacing) != 2 or spacing[0] != spacing[1] or spacing[0] <= 0:
        raise SliceError(name, "without the size of its pixels, or with oblong ones")
    return pad_to_square(raw.encoding.to_hu(raw.stored), AIR_HU), spacing[0], raw


def band(values: np.ndarray) -> list[float]:
    """[median, 10th, 90th percentile]; empty if nothing was measured."""
    return np.percentile(values, (50, 10, 90)).tolist() if values.size else []


def overlap(a: np.ndarray, b: np.ndarray) -> float | None:
    return 1 - float(ks_2samp(a, b).statistic) if a.size and b.size else None


def _cells(row: dict, digits: int) -> list[str]:
    sides = (row["phantom"], row["real"])
    texts = ["{1:.{0}f} ({2:.{0}f} to {3:.{0}f})".format(digits, *side) if side else "–" for side in sides]
    return [*(text.replace("-", "−") for text in texts), "–" if row["overlap"] is None else f"{row['overlap']:.2f}"]


def _draw(path: Path, phantom: Measured, real: Measured) -> None:
    points = {"histogram": (HU[:-1] + HU[1:]) / 2, "spectrum": FREQUENCIES, "profile": PROFILE_MM}
    sides = {}
    for name, side in (("PHANTOM", phantom), ("real", real)):
        curves = {key: side.curves(key) for key in points}
        curves["histogram"] = 100 * curves["histogram"][:, 1:-1]
        pose = [[one.get(key, np.nan) for key in ("rotation", "width", "length")] for one in side.slices]
        with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # a frequency that no slice resolves
            bands = {key: np.nanpercentile(some, (10, 50, 90), axis=0) for key, some in curves.items() if len(some)}
        sides[f"{name}, {len(side.slices)} slices"] = bands | {"pose": np.array(pose)}
    figure = realism_panels(points, sides)
    write_whole_with(path, lambda partial: figure.savefig(partial, format="png", dpi=120))
    print(f"written to {path}")


if __name__ == "__main__":
    run_command(main)
