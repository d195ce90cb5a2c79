"""What the paper prints, as data: its classes, networks, settings and tables. Nothing here is computed."""

import csv
from pathlib import Path

import numpy as np

TITLE = "Intracranial Hemorrhage Identification from Computed Tomography Images Using a Lightweight Deep Learning Model"

# S1…S6 of the confusion matrices, in their order. A class index anywhere in ich_jax is a place in this tuple.
CLASSES = ("none", "epidural", "intraparenchymal", "intraventricular", "subarachnoid", "subdural")
TYPES = CLASSES[1:]  # of hemorrhage

NETWORKS = ("proposed", "densenet121", "mobilenet", "inception_v1")  # in the order of Tables 3–5 and 6–9

NETWORK_NAMES = dict(zip(NETWORKS, ("proposed", "DenseNet121", "MobileNet", "Inception v1"), strict=True))

# Veri Ön İşleme
IMAGE_SIZE = 224  # pixels, the side of the network's input

# Hiperparametre Seçimleri ve Ayarlar
LEARNING_RATE = 1e-5
BETA1 = 0.95  # the paper's "momentum"; read as Adam's first decay rate
BATCH_SIZE = 32
BATCH_SIZE_OF_COMPARISON = 8
EPOCHS = 30
PATIENCE = 3

CONFUSION_TABLES = dict(zip(NETWORKS, (6, 7, 8, 9), strict=True))
TABLES = Path(__file__).parent / "tables"


def table_1() -> dict[str, dict[str, int]]:
    """Table 1, images per class and part: {class: {"train", "validation", "test", "total": count}}."""
    return {name: {part: int(count) for part, count in row.items()} for name, row in _rows("table1_images").items()}


def table_2() -> dict[str, float]:
    """Table 2, the proposed network at batch 32: {"train_accuracy", …, "test_loss": value}."""
    return _numbers("table2_batch32")["proposed"]


def table_3() -> dict[str, dict[str, float]]:
    """Table 3, batch 8: {network: {"parameters_millions", "train_accuracy", "validation_accuracy", "test_accuracy"}}.

    Parameters are printed in millions, cut off after three decimals.
    """
    return _numbers("table3_accuracy_batch8")


def table_4() -> dict[str, float]:
    """Table 4, batch 8: {network: minutes of training}."""
    return {name: row["training_minutes"] for name, row in _numbers("table4_minutes").items()}


def table_5() -> dict[str, dict[str, float]]:
    """Table 5, batch 8, weighted metrics on the test part: {network: {"precision", "recall", "f1"}}."""
    return _numbers("table5_weighted_metrics")


def confusion(network: str) -> np.ndarray:
    """Tables 6–9, batch 8, on the test part: (6, 6) int64 counts, rows actual, in the order of CLASSES."""
    rows = _rows(f"table{CONFUSION_TABLES[network]}_confusion_{network}")
    return np.array([[int(cell) for cell in row.values()] for row in rows.values()])


def _numbers(name: str) -> dict[str, dict[str, float]]:
    return {first: {key: float(value) for key, value in row.items()} for first, row in _rows(name).items()}


def _rows(name: str) -> dict[str, dict[str, str]]:
    """A table's rows by their first column."""
    with open(TABLES / f"{name}.csv", encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        return {row.pop(reader.fieldnames[0]): row for row in reader}
