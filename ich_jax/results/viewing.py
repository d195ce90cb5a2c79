"""DICOM slices → the page that shows them, with a network's answers and a phantom's truth beside them."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image
from tqdm import tqdm

from ich_jax.data.dicom import NotAxialCT, SliceError, StoredSlice, pad_to_square, require_picture
from ich_jax.data.find import Member, find_slices, in_words, number_of, read_member
from ich_jax.data.hounsfield import Encoding
from ich_jax.data.preprocess import slice_to_image
from ich_jax.paper.printed import CLASSES
from ich_jax.paper.windowing import AIR_HU
from ich_jax.phantom.blood import Phantoms, at_size
from ich_jax.phantom.dataset import TRUTH
from ich_jax.phantom.patients import Truth
from ich_jax.plumbing.command import InputError
from ich_jax.show.viewer import Answering, Shown, pack_bytes, pack_stored, write_page
from ich_jax.training.series import by_series, place_of

if TYPE_CHECKING:
    from ich_jax.training.run import Run

MAX_PIXELS = 400 * 512 * 512  # of a page, about 100 MB: browsers take more, people's patience does not
WHOLE_HU = Encoding(signed=True, bits_stored=16, slope=1.0, intercept=0.0, inverted=False)

bar = partial(tqdm, unit="slice", leave=False, disable=None)


class Viewed(NamedTuple):
    """What came of `view`: how many slices are on the page, and one line for each file that could not be read."""

    slices: int
    refused: list[str]
    counts: str


def view(
    paths: Sequence[Path],
    out: Path,
    run: Path | None = None,
    *,
    size: int | None = None,
    repair: bool = True,
    blood: bool = False,
) -> Viewed:
    """Write the page of some slices; what cannot be read is left out and counted.

    Args:
        paths: DICOM files, folders and zips of them, see `find_slices`.
        out: the HTML file.
        run: a run folder, whose network is asked about each slice.
        size: make slices smaller, to this side in pixels, in whole HU (default: the stored values).
        repair: undo the 12-bit wrap-around where it is seen.
        blood: draw a phantom's bleeding slices again, for the outline of the blood (seconds a slice).

    Raises:
        InputError: no slice can be shown, or more than fit; a path or the run is bad; `blood` of what is no phantom.
    """
    _require_html(out)
    files, left_out, damaged = find_slices(paths)
    network = _open(run) if run else None
    found, refused, pixels = [], list(damaged), 0
    for file in bar(files, desc="read"):
        try:
            raw = read_member(file)
            require_picture(raw, str(file))
        except NotAxialCT:
            left_out["no axial CT slice"] += 1
        except SliceError as error:
            refused.append(str(error))
        else:
            found.append(place_of(file, raw) | _kept(file, raw, size, repair, network))
            pixels += found[-1]["shown"].rows * found[-1]["shown"].columns
            if pixels > MAX_PIXELS:
                raise InputError(f"after {len(found)} slices the page is full; name fewer, or make them --size 128")
    if not found:
        raise InputError("; ".join(refused[:1]) or f"no axial CT slice among {len(files)} files")
    phantoms = Phantoms()
    for one in found:
        one["truth"] = phantoms.truth(one["member"], one["image_id"]) if one["shown"].phantom else None
    if blood and not any(one["truth"] for one in found):
        raise InputError(f"--blood: none of these is a phantom's slice in its own folder, with {TRUTH}")
    if network:
        _ask(network, found, repair)
    for one in found:
        one["shown"] = one["shown"]._replace(truth=_as_truth(one["truth"]))
    bleeding = [one for one in found if one["truth"] and one["truth"].kinds] if blood else []
    for one in bar(bleeding, desc="blood"):
        mask = at_size(phantoms.blood(one["member"], one["image_id"]), one["side"])
        one["shown"] = one["shown"]._replace(blood=pack_bytes(mask))
    not_read = f"Not read: {number_of(refused)}" if refused else ""
    not_shown = "; ".join(filter(None, (not_read, in_words(+left_out).removeprefix("; "))))
    write_page(
        out,
        list(_numbered(by_series(found))),
        network=network and Answering(network.settings.model, network.found.image_size, network.found.phantom),
        resampled=size if any(one["resampled"] for one in found) else None,
        counts=f"{not_shown[0].upper()}{not_shown[1:]}." if not_shown else "",
    )
    return Viewed(len(found), refused, f"{len(found)} shown, {len(refused)} refused{in_words(+left_out)}")


def _require_html(out: Path) -> None:
    if out.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"{out}: the page is an HTML file; let --out end in .html")
    if out.is_dir() or not out.parent.is_dir():
        raise InputError(f"{out}: is a folder" if out.is_dir() else f"{out.parent}: no such folder")


def _open(run: Path) -> "Run":
    from ich_jax.training.shared import (
        open_trained,
    )  # imports JAX, seconds that a page without a network needs not take

    return open_trained(run)


def _kept(file: Member, raw: StoredSlice, size: int | None, repair: bool, run: "Run | None") -> dict:
    """What the page needs of one slice: {"shown", "member", "image_id", "image", "shape", "resampled"}."""
    encoding = raw.encoding if repair else replace(raw.encoding, wrapped_from=None)
    resampled = size is not None and max(raw.stored.shape) > size
    stored, encoding = (_smaller(raw.stored, encoding, size), WHOLE_HU) if resampled else (raw.stored, encoding)
    stored = _without_unused_bits(stored, encoding)
    shown = Shown(pack_stored(stored), *stored.shape, asdict(encoding), raw.synthetic)
    image = slice_to_image(raw, run.found.image_size, repair) if run else None
    kept = {"shown": shown, "member": file, "image_id": raw.image_id, "image": image}
    return kept | {"side": max(stored.shape), "resampled": resampled}


def _smaller(stored: np.ndarray, encoding: Encoding, size: int) -> np.ndarray:
    """(size, size) int16: HU, centred in a square of air, averaged as the network's images are."""
    hu = np.clip(pad_to_square(encoding.to_hu(stored), AIR_HU), -32768, 32767)
    return np.asarray(Image.fromarray(hu).resize((size, size), Image.Resampling.BILINEAR)).round().astype(np.int16)


def _without_unused_bits(stored: np.ndarray, encoding: Encoding) -> np.ndarray:
    """Bits that are no part of a value (PS3.3 C.7.6.3.1.1) may hold anything, even an overlay with a name in it.
    Padding stays as it is: its value may need them."""
    unused = 16 - encoding.bits_stored
    low, high = encoding.padding or (1, 0)
    return np.where((stored >= low) & (stored <= high), stored, stored << unused >> unused)


def _ask(run: "Run", found: list[dict], repair: bool) -> None:
    """Add the network's probabilities, and the saliency of the class it names, to each slice."""
    import jax

    from ich_jax.results.saliency import gradient_saliency
    from ich_jax.training.inference import predict

    members = [one["member"] for one in found]
    answers = predict(run.network, run.state, run.found.image_size, members, repair)
    saliency = jax.jit(partial(gradient_saliency, run.network.structure))
    for one, answer in bar(zip(found, answers, strict=True), total=len(found), desc="ask"):
        shares = list(answer["probabilities"].values())
        k = CLASSES.index(answer["predicted"])
        values = np.asarray(saliency(run.state.params, run.state.batch_stats, one["image"], k))
        most = float(np.quantile(values, 0.99)) or 1.0
        seen = pack_bytes(np.clip(values / most, 0, 1) * 255)
        one["shown"] = one["shown"]._replace(probabilities=shares, saliency=seen)


def _as_truth(row: Truth | None) -> dict | None:
    if row is None:
        return None
    return {"types": row.kinds, "mm2": {kind: getattr(row, f"{kind}_mm2") for kind in row.kinds}}


def _numbered(series: list[list[dict]]) -> Iterator[Shown]:
    for number, slices in enumerate(series, start=1):
        first = slices[0]["position_mm"]
        for place, one in enumerate(slices, start=1):
            mm = None if first is None or one["position_mm"] is None else one["position_mm"] - first
            mm = None if mm is None or not math.isfinite(mm) else round(mm, 1)
            yield one["shown"]._replace(series=number, number=place, of=len(slices), mm=mm)
