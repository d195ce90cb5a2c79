"""What networks answer to every labelled slice of a source, those with several types of hemorrhage included."""

import sys
from collections import Counter
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from ich_jax.data.dicom import NotAxialCT, SliceError, StoredSlice, pad_to_square, require_picture
from ich_jax.data.find import Member, read_member
from ich_jax.data.hounsfield import Encoding
from ich_jax.data.preparing import plan
from ich_jax.data.preprocess import slice_to_image
from ich_jax.data.source import Source
from ich_jax.paper.printed import CLASSES
from ich_jax.paper.windowing import AIR_HU, BRAIN, window_limits
from ich_jax.plumbing.parallel import map_in_processes
from ich_jax.training.run import Run

BATCH = 32


class Answers(NamedTuple):
    """N slices, asked of R networks."""

    members: list[Member]
    truth: np.ndarray  # (N, 6) bool, in the order of CLASSES; several types may be true
    patients: list[str]  # or the study, where no patient is named; "" for neither
    studies_for_patients: int  # of how many slices the former is so
    logits: np.ndarray  # (R, N, 6) float32
    synthetic: bool  # whether any slice is a phantom's
    left_out: Counter  # why → how many slices of the labels or of the source


class Reading(NamedTuple):
    """One slice: its image, or why it has none."""

    image: np.ndarray | None
    patient: str = ""
    by_study: bool = False
    synthetic: bool = False
    reason: str = ""


def ask(runs: list[Run], source: Source, brain_window_only: bool = False, workers: int = 1) -> Answers:
    """Every network's logits for every labelled slice that can be read. Images are in memory a few at a time.

    Args:
        runs: of one image size.
        source: the slices, with labels.
        brain_window_only: see `clip_to_brain_window`.
        workers: processes that read slices.
    """
    size, labels = runs[0].found.image_size, source.labels
    # `plan` rejects slices with several types; called one class more, they are candidates as well.
    image_class = labels.image_class | dict.fromkeys(labels.multi_type, "several")
    candidates, rejected, _ = plan(
        replace(source, labels=replace(labels, image_class=image_class, multi_type={})), size
    )
    left_out = Counter(reason.split(":")[0] for reason in rejected.values())
    ids = list(candidates)
    members = [source.members[image_id] for image_id in ids]
    parts = [members[start : start + BATCH] for start in range(0, len(ids), BATCH)]
    read = partial(_read, size, brain_window_only)
    kept, patients, by_study, synthetic = [], [], 0, False
    logits = [np.zeros((len(runs), 0, len(CLASSES)), np.float32)]
    with tqdm(total=len(ids), unit="slice", desc="transfer", leave=False, disable=None) as bar:
        start = 0
        for part in map_in_processes(read, parts, workers) if workers > 1 else map(read, parts):
            batch, filled = np.zeros((BATCH, size, size, 3), np.uint8), 0
            for k, reading in enumerate(part, start):
                if reading.image is None:
                    left_out[reading.reason.split(":")[0]] += 1
                    tqdm.write(f"{members[k]}: {reading.reason}", file=sys.stderr)
                    continue
                batch[filled] = reading.image
                filled += 1
                kept.append(k)
                patients.append(reading.patient)
                by_study += reading.by_study
                synthetic |= reading.synthetic
            images = runs[0].network.devices.put(batch)
            answers = [run.network.steps.evaluate(run.state.params, run.state.batch_stats, images) for run in runs]
            logits.append(np.stack(answers)[:, :filled])
            start += len(part)
            bar.update(len(part))
    types = [labels.multi_type.get(ids[k]) or (labels.image_class[ids[k]],) for k in kept]
    truth = np.array([[name in present for name in CLASSES] for present in types], bool).reshape(-1, len(CLASSES))
    found = [members[k] for k in kept]
    return Answers(found, truth, patients, by_study, np.concatenate(logits, axis=1), synthetic, left_out)


def _read(size: int, brain_window_only: bool, members: list[Member]) -> list[Reading]:
    return [_read_one(size, brain_window_only, member) for member in members]


def _read_one(size: int, brain_window_only: bool, member: Member) -> Reading:
    try:
        raw = read_member(member)
        require_picture(raw, str(member))
    except NotAxialCT as error:
        return Reading(None, reason=f"no axial CT slice: {error.reason}")
    except SliceError as error:
        return Reading(None, reason=f"unreadable: {error.reason}")
    seen = clip_to_brain_window(raw) if brain_window_only else raw
    by_study = bool(raw.study_id and not raw.patient_id)
    return Reading(slice_to_image(seen, size), raw.patient_id or raw.study_id, by_study, raw.synthetic)


def clip_to_brain_window(raw: StoredSlice) -> StoredSlice:
    """The slice as if only its brain window had been kept: below 0 HU all is 0, above 80 HU all is 80.

    HU are stored in steps of 1/64, so whole ones stay what they are. One that is not square becomes a square.
    """
    hu = pad_to_square(raw.encoding.to_hu(raw.stored), AIR_HU)
    stored = np.round(64 * np.clip(hu, *window_limits(*BRAIN))).astype(np.uint16)
    return replace(raw, stored=stored, encoding=Encoding(False, 16, slope=1 / 64, intercept=0, inverted=False))
