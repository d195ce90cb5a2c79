"""Assignment 3, as ich_jax.data.labels and ich_jax.paper.splits do it."""

import numpy as np

from ich_jax.data.labels import Labels, LabelsError, parse_labels
from ich_jax.paper.splits import PARTS, split_by_image

__all__ = ["class_counts", "class_of_each_image", "leak", "split", "table_1"]


def class_of_each_image(rows: list[tuple[str, str]]) -> dict[str, str]:
    try:
        return parse_labels(["ID,Label", *map(",".join, rows)], "rows").image_class
    except LabelsError as error:
        raise ValueError(error) from None


def class_counts(image_class: dict[str, str]) -> dict[str, int]:
    return Labels(image_class, {}, ()).class_counts()


split = split_by_image


def leak(patient_ids: list[str], parts: dict[str, np.ndarray]) -> float:
    patients = np.array(patient_ids)
    return np.isin(patients[parts["test"]], patients[parts["train"]]).mean()


def table_1(images: dict[str, int], listed_twice: dict[str, int]) -> dict[str, dict[str, int]]:
    table = {}
    for name, count in images.items():
        twice = listed_twice.get(name, 0)
        sizes = {part: len(rows) for part, rows in split_by_image(np.zeros(count, int), seed=0).items()}
        table[name] = {part: sizes[part] + twice * (part == "train") for part in PARTS} | {"total": count + twice}
    return table
