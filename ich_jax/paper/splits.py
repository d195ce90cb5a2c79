"""Train, validation and test: 50 / 25 / 25 %, by image as in the paper, or by patient (paper: Materyal)."""

import warnings

import numpy as np

from ich_jax.paper.printed import CLASSES

PARTS = ("train", "validation", "test")


def split_by_image(classes: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """The paper's split: of each class, ⌊N/4⌋ images for validation, as many for test, the rest for training.

    Slices of one patient land on both sides of it, so the network can recognise patients; see `split_by_patient`.

    Args:
        classes: (N,) class indices.
        seed: decides which images go where.

    Returns:
        {part: sorted int64 indices into `classes`}. A class with fewer than 4 images is in 'train' only.

    >>> {part: len(rows) for part, rows in split_by_image(np.zeros(10, int), seed=0).items()}
    {'train': 6, 'validation': 2, 'test': 2}
    """
    rng = np.random.default_rng(seed)
    chosen = {part: [] for part in PARTS}
    for index in range(len(CLASSES)):
        images = rng.permutation(np.flatnonzero(classes == index))
        quarter = len(images) // 4
        chosen["validation"].append(images[:quarter])
        chosen["test"].append(images[quarter : 2 * quarter])
        chosen["train"].append(images[2 * quarter :])
    return {part: np.sort(np.concatenate(chosen[part])) for part in PARTS}


def split_by_patient(classes: np.ndarray, patient_ids: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """The honest split: whole patients, with the classes as evenly spread as whole patients allow.

    Args:
        classes: (N,) class indices.
        patient_ids: (N,) strings.
        seed: decides which patients go where.

    Returns:
        As `split_by_image`, no patient in two parts.

    Raises:
        ValueError: fewer than 4 patients, or fewer than 4 images of every class.
    """
    from sklearn.model_selection import StratifiedGroupKFold  # takes a second to import, and only this split needs it

    patients = np.unique(patient_ids, return_inverse=True)[1]
    if len(classes) == 0 or patients.max() < 3 or np.bincount(classes).max() < 4:
        raise ValueError("a split by patient needs at least 4 patients and 4 slices of one class")
    folds = StratifiedGroupKFold(n_splits=4, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class of fewer than 4: `small_class_warnings` says it better
        quarters = [rows for _, rows in folds.split(np.empty(len(classes)), classes, patients)]
    return {"train": np.sort(np.concatenate(quarters[2:])), "validation": quarters[0], "test": quarters[1]}


def small_class_warnings(classes: np.ndarray, split: dict[str, np.ndarray]) -> list[str]:
    """One line for each class that some part lacks, so that nobody reads a metric as more than it is."""
    sentences = []
    for index, name in enumerate(CLASSES):
        without = [part for part in PARTS if not np.any(classes[split[part]] == index)]
        if without:
            parts = "any part" if len(without) == 3 else " or ".join(without)
            sentences.append(f"{name}: {np.sum(classes == index)} in the data, none in {parts}")
    return sentences
