"""The paper's settings and tables as data. Nothing here is computed."""

import csv
from pathlib import Path

# Hiperparametre Seçimleri ve Ayarlar
LEARNING_RATE = 1e-5
BETA1 = 0.95  # the paper's "momentum"; read as Adam's first decay rate
BATCH_SIZE = 32
EPOCHS = 30
PATIENCE = 3

TABLES = Path(__file__).parent / "paper_tables"


def table_1() -> dict[str, dict[str, int]]:
    """Table 1, images per class and part: {class: {"train", "validation", "test", "total": count}}."""
    with open(TABLES / "table1_images.csv", encoding="utf-8", newline="") as file:
        return {row.pop("class"): {part: int(count) for part, count in row.items()} for row in csv.DictReader(file)}
