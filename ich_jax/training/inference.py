"""A trained network's answers: logits for rows of a prepared folder, probabilities for DICOM files."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from tqdm import tqdm

from ich_jax.data.dicom import NotAxialCT, SliceError, require_picture
from ich_jax.data.find import Member, read_member
from ich_jax.data.prepared import Prepared
from ich_jax.data.preprocess import slice_to_image
from ich_jax.paper.metrics import log_softmax
from ich_jax.paper.printed import CLASSES
from ich_jax.paper.steps import TrainState
from ich_jax.plumbing.parallel import map_ahead
from ich_jax.training.batches import evaluation_batches
from ich_jax.training.network import Network
from ich_jax.training.series import place_of

BATCH = 32  # slices at a time, whatever the training's batch size: evaluation does not depend on it
FILES = 16
UNDER_WAY = 4  # batches that the device may have before the host reads an answer


def answer(network: Network, state: TrainState, prepared: Prepared, rows: np.ndarray, what: str) -> np.ndarray:
    """Logits of `rows` in order, (M, 6) float32. `what` is the progress bar's name."""
    found, under_way = [], deque()
    with tqdm(total=len(rows), unit="slice", desc=what, leave=False, disable=None) as bar:

        def read_oldest() -> None:
            found.append(np.asarray(under_way.popleft()))
            bar.update(len(found[-1]))

        size = -(-BATCH // network.devices.count) * network.devices.count
        for batch in evaluation_batches(prepared.images, prepared.classes, rows, size, network.devices):
            under_way.append(network.steps.evaluate(state.params, state.batch_stats, batch.images))
            if len(under_way) == UNDER_WAY:
                read_oldest()
        while under_way:
            read_oldest()
    return np.concatenate(found)[: len(rows)]  # the last batch is filled up


def predict(
    network: Network, state: TrainState, image_size: int, files: list[Member], repair: bool = True
) -> Iterator[dict]:
    """One answer a file, in order: {"file", "series", "position_mm", "predicted", "probabilities": {class: p}}.

    The first three are `series.place_of`. A file without an answer has {"file", "error"}, or {"file", "left_out"} if it
    is no axial CT slice. `repair`: undo the 12-bit wrap-around where it is seen.
    """

    def read(part: Iterable[Member]) -> list[tuple[dict, np.ndarray | None]]:
        return [_read(file, image_size, repair) for file in part]

    parts = [files[start : start + FILES] for start in range(0, len(files), FILES)]
    with ThreadPoolExecutor(max_workers=1) as reader:
        for part in map_ahead(reader, read, parts, ahead=2):
            images = np.zeros((FILES, image_size, image_size, 3), np.uint8)
            for place, (_, image) in enumerate(part):
                if image is not None:
                    images[place] = image
            logits = network.steps.evaluate(state.params, state.batch_stats, network.devices.put(images))
            for (known, image), shares in zip(part, np.exp(log_softmax(np.asarray(logits))), strict=False):
                if image is None:
                    yield known
                else:
                    probabilities = dict(zip(CLASSES, shares.tolist(), strict=True))
                    yield known | {"predicted": CLASSES[shares.argmax()], "probabilities": probabilities}


def _read(file: Member, size: int, repair: bool) -> tuple[dict, np.ndarray | None]:
    try:
        raw = read_member(file)
        require_picture(raw, str(file))
    except NotAxialCT as error:
        return {"file": str(file), "left_out": error.reason}, None
    except SliceError as error:
        return {"file": str(file), "error": error.reason}, None
    return place_of(file, raw), slice_to_image(raw, size, repair)
