"""Assignment 3: labels and splits. The sheet is sheets/3_labels.md. NumPy is all you need."""

import numpy as np

CLASSES = ("none", "epidural", "intraparenchymal", "intraventricular", "subarachnoid", "subdural")  # the paper's order


def class_of_each_image(rows: list[tuple[str, str]]) -> dict[str, str]:
    """The label file → the class of each image that has no hemorrhage or exactly one type. Others are left out.

    Args:
        rows: as in the file, without its header: a name, and "0" or "1". The name is the image's identifier, which may
            have underscores of its own, then an underscore, then one of the five types or `any`, which is "1" if one of
            the five is. Every image has all six rows; they may come in any order, also between those of other images.
            A row may occur several times.

    Returns:
        image identifier → one of CLASSES.

    Raises ValueError if two rows have the same name and different values.

    >>> types = ["epidural", "intraparenchymal", "intraventricular", "subarachnoid", "subdural", "any"]
    >>> healthy = [(f"ID_0fe31b044_{kind}", "0") for kind in types]
    >>> bleeding = [(f"ID_7ba0f3d21_{kind}", "1" if kind in ("subdural", "any") else "0") for kind in types]
    >>> class_of_each_image(healthy + bleeding)
    {'ID_0fe31b044': 'none', 'ID_7ba0f3d21': 'subdural'}
    """
    raise NotImplementedError


def class_counts(image_class: dict[str, str]) -> dict[str, int]:
    """How many images each class has.

    Args:
        image_class: as `class_of_each_image` returns it.

    Returns:
        each of the six CLASSES → its number of images, 0 if it has none.

    >>> counts = class_counts({"ID_1": "none", "ID_2": "subdural", "ID_3": "none"})
    >>> counts["none"], counts["epidural"], counts["subdural"]
    (2, 0, 1)
    """
    raise NotImplementedError


def split(classes: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """The paper's split by image: of each class with N images ⌊N/4⌋, drawn at random, for validation, as many for test,
    the rest for training.

    Args:
        classes: (N,) integers, each image's place in CLASSES. A class may be missing.
        seed: 0 or above. The same seed gives the same split; another seed, another.

    Returns:
        "train", "validation" and "test" → integers, places in `classes`, in any order.

    >>> parts = split(np.array([0] * 10 + [5] * 4), seed=1)
    >>> [len(parts[part]) for part in ("train", "validation", "test")]
    [8, 3, 3]
    """
    raise NotImplementedError


def leak(patient_ids: list[str], parts: dict[str, np.ndarray]) -> float:
    """The share of the test slices of whose patient the network has seen a slice in training.

    Args:
        patient_ids: N, each slice's patient.
        parts: as `split` returns them; 'test' is not empty.

    Returns:
        0 … 1.

    >>> patients = ["A", "A", "A", "B", "B", "C", "C", "D", "D"]
    >>> parts = {"train": np.array([0, 3, 4, 8]), "validation": np.array([5, 7]), "test": np.array([1, 2, 6])}
    >>> f"{leak(patients, parts):.3f}"
    '0.667'
    """
    raise NotImplementedError


def table_1(images: dict[str, int], listed_twice: dict[str, int]) -> dict[str, dict[str, int]]:
    """Table 1 as the paper counts: the images are split by class as in `split`, each of them once; those that the file
    lists twice are then counted once more, in training and in the total.

    Args:
        images: class → number of different images.
        listed_twice: class → how many of these the file lists twice; classes without any are not in it.

    Returns:
        class → {"train", "validation", "test", "total": number of images}, for the classes in `images`.

    >>> table_1({"none": 103, "subdural": 8}, {"none": 1})["none"]
    {'train': 54, 'validation': 25, 'test': 25, 'total': 104}
    """
    raise NotImplementedError
