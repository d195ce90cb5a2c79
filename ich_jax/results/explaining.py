"""DICOM slices → where a network looks, and the numbers that such pictures have to be held against.

NNN_NAME.png   a slice, its maps, and those of the two networks that know nothing
explain.csv    a row for each slice, map and network
explain.json   what was asked, means over slices, what is missing and why
"""

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from ich_jax.data.dicom import NotAxialCT, SliceError, StoredSlice, require_picture
from ich_jax.data.find import Member, find_slices, in_words, read_member
from ich_jax.data.prepared import open_same
from ich_jax.data.preprocess import slice_to_image
from ich_jax.paper.printed import CLASSES
from ich_jax.paper.steps import TrainState
from ich_jax.phantom.blood import Phantoms, at_size
from ich_jax.phantom.dataset import TRUTH
from ich_jax.plumbing import tables
from ich_jax.plumbing.command import InputError
from ich_jax.plumbing.files import require_empty, whole_folder, write_csv, write_json
from ich_jax.results.explainer import BLOOD, CHECKS, ON_BLOOD, RANDOM, SHUFFLED, TRAINED, Explainer
from ich_jax.show import figures
from ich_jax.training import shuffled
from ich_jax.training.batches import split_rows
from ich_jax.training.network import weights_key
from ich_jax.training.outcome import of_a_phantom, save_figure
from ich_jax.training.run import Run, open_run
from ich_jax.training.series import shown

COLUMNS = ("picture", "file", "phantom", "shows", "named", "probability", "map", "network", "empty")
NEVER = "never for diagnosis"
NOTHING = CLASSES[0]

HEADERS = {
    "mass_on_blood": "mass on blood",
    "marked_on_blood": "marked on blood",
    "mass_outside_head": "outside head",
    "rank_correlation": "correlation",
    "marked_covered": "covered",
    "elsewhere_covered": "elsewhere",
}

Say = Callable[[str], object]


class Asked(NamedTuple):
    """What `explain` was asked beside run and files."""

    percent: float = 5.0  # of the head, that count as marked
    part: str = ""  # only slices of this part of the run's data
    slices: int = 0  # only so many, drawn at random; 0 is all
    data: Path | None = None  # the run's prepared folder, if it has moved
    shuffled: Path | None = None  # where the network of shuffled labels is kept; None: in the run folder
    without_shuffled: bool = False
    repair: bool = True


class Explained(NamedTuple):
    rows: list[dict]  # of explain.csv; NaN where there is nothing to say
    found: dict  # explain.json
    refused: list[str]  # a line for each file that could not be read


def explain(run: Path, paths: Sequence[Path], out: Path, asked: Asked, say: Say = print) -> Explained:
    """Write maps and numbers of some slices into a new or empty folder, all of it or nothing.

    Raises InputError if the run, a path or the folder is bad, or no slice can be read.
    """
    if out.exists():
        require_empty(out)
    files, left_out, damaged = find_slices(paths)
    opened = open_run(run)
    files = _chosen(files, opened, asked)
    refused = list(damaged)
    missing: dict[str, None] = {}  # each sentence once, in order
    states = _states(opened, asked, missing, say)
    explainer, phantoms, rows, count = Explainer(opened.network, states, asked.percent), Phantoms(), [], 0
    with whole_folder(out) as folder:
        for file in tqdm(files, unit="slice", desc="explain", leave=False, disable=None):
            try:
                raw = read_member(file)
                require_picture(raw, str(file))
            except NotAxialCT:
                left_out["no axial CT slice"] += 1
                continue
            except SliceError as error:
                refused.append(str(error))
                continue
            image = slice_to_image(raw, opened.found.image_size, asked.repair)
            try:
                blood, shows = _blood(phantoms, file, raw, len(image))
            except InputError as error:
                blood, shows = None, ""
                missing[f"blood: nobody knows where it is ({error})"] = None
            answer = explainer.explain(image, blood)
            count += 1
            known = {"picture": f"{count:03}_{_safe(file)}.png", "file": str(file), "phantom": raw.synthetic}
            known |= {"shows": shows, "named": answer.named, "probability": answer.probability}
            rows += [known | row for row in answer.rows]
            figure = figures.explanation_panels(image, answer.maps, blood, _title(known, opened.found.phantom))
            save_figure(folder / known["picture"], figure)
        if not rows:
            raise InputError("; ".join(refused[:1]) or f"no axial CT slice among {len(files)} files")
        counts = f"{count} explained, {len(refused)} refused{in_words(+left_out)}"
        found = {
            "run": str(run),
            "network": of_a_phantom(opened.settings, opened.found) if opened.found.phantom else NEVER,
            "image_size": opened.found.image_size,
            "marked_percent_of_head": asked.percent,
            "counts": counts,
            "refused": refused,
            "missing": list(missing),
            "groups": [group(name, some) for name, some in groups(rows).items()],
        }
        names = (*COLUMNS, *ON_BLOOD, *CHECKS)
        write_csv(folder / "explain.csv", names, ([_cell(row[name]) for name in names] for row in rows))
        write_json(folder / "explain.json", found)
    return Explained(rows, found, refused)


def _chosen(files: list[Member], run: Run, asked: Asked) -> list[Member]:
    if asked.part:
        data = open_same(asked.data or run.found.data, run.found.fingerprint)
        names = set(data.image_ids[split_rows(data, run.settings)[asked.part]].tolist())
        files = [file for file in files if PurePosixPath(str(file)).stem in names]
        if not files:
            raise InputError(f"none of the files is named as a slice of the {asked.part} part of {data.path}")
    if asked.slices and asked.slices < len(files):
        places = np.random.default_rng(0).permutation(len(files))[: asked.slices]
        files = [files[place] for place in sorted(places)]
    return files


def _states(run: Run, asked: Asked, missing: dict[str, None], say: Say) -> dict[str, TrainState]:
    """The network and those it is held against; what there cannot be goes to `missing`."""
    states = {TRAINED: run.state, RANDOM: run.network.draw(weights_key(run.settings))}
    if asked.without_shuffled:
        missing[f"network of {SHUFFLED}: --no-shuffled leaves it out"] = None
        return states

    folder, data = asked.shuffled or run.folder / shuffled.NAME, None
    if not shuffled.is_trained(run, folder):
        try:
            data = open_same(asked.data or run.found.data, run.found.fingerprint)
        except (InputError, OSError) as error:
            if asked.data:
                raise
            sentence = f"network of {SHUFFLED}: the run's data are not at hand, --data names them ({error})"
            missing[sentence] = None
            say(f"note: going on without a {sentence}")
            return states
    states[SHUFFLED] = shuffled.train_on_shuffled_labels(run, data, folder, say)
    return states


def _blood(phantoms: Phantoms, file: Member, raw: StoredSlice, size: int) -> tuple[np.ndarray | None, str]:
    """(size, size) bool, None if there is none, and the types of hemorrhage, joined by +; None and "" for a real slice.

    Raises InputError where nobody knows.
    """
    if not raw.synthetic:
        return None, ""
    truth = phantoms.truth(file, raw.image_id)
    if truth is None:
        raise InputError(f"slices of a phantom outside its own folder, which has {TRUTH}; unpack a zip")
    mask = at_size(phantoms.blood(file, raw.image_id), size) if truth.kinds else np.zeros((size, size), bool)
    return (mask if mask.any() else None), truth.types


def groups(rows: list[dict]) -> dict[str, list[dict]]:
    """The rows of all slices; where blood is known also those of slices with some, and of those among them whose named
    class is one that is there."""
    bleeding = [row for row in rows if row["shows"] not in ("", NOTHING)]
    if not bleeding:
        return {"all slices": rows}
    rightly = [row for row in bleeding if row["named"] in row["shows"].split("+")]
    return {
        "all slices": rows,
        "the slices with blood": bleeding,
        "those of them whose type is named rightly": rightly,
    }


def group(name: str, rows: list[dict]) -> dict:
    """{"group", "slices", "probability", "means"}; the probability is the mean of the named class's."""
    slices = {row["file"]: row["probability"] for row in rows}
    probability = float(np.mean(list(slices.values()))) if slices else None
    return {"group": name, "slices": len(slices), "probability": probability, "means": means(rows)}


def means(rows: list[dict]) -> list[dict]:
    """Over slices, for each map and network, each over those that have the number; `empty_in`: how many have none, as
    the map is 0 all over the head."""
    found = []
    pairs = dict.fromkeys((row["map"], row["network"]) for row in rows)
    for name, network in sorted(pairs, key=lambda pair: pair[0] == BLOOD):  # which the first slice may not have
        of_map = [row for row in rows if (row["map"], row["network"]) == (name, network)]
        one = {"map": name, "network": network, "empty_in": sum(row["empty"] for row in of_map)}
        found.append(one | {column: _mean(row[column] for row in of_map) for column in (*ON_BLOOD, *CHECKS)})
    return found


def _mean(numbers: Iterable[float]) -> float | None:
    known = [number for number in numbers if not np.isnan(number)]
    return float(np.mean(known)) if known else None


def as_text(explained: Explained) -> str:
    """What the terminal says at the end."""
    found = explained.found
    lines = [f"{found['network']}.\n"]
    for one in found["groups"]:
        # Blood is in some of the slices only, and the other groups tell of it.
        without = (ON_BLOOD, BLOOD) if one is found["groups"][0] else ((), "")
        lines += _table(one, *without)
    return "\n".join([*lines, *(f"missing: {line}" for line in found["missing"]), found["counts"]])


def _table(one: dict, without_columns: Sequence[str], without_map: str) -> list[str]:
    if not one["slices"]:
        return [f"{one['group']}: none\n"]
    about = f"{one['group']}: {one['slices']}; mean probability of the named class {one['probability']:.3f}"
    names = [name for name in HEADERS if name not in without_columns]
    lines = [line for line in one["means"] if line["map"] != without_map]
    table = [
        (line["map"], line["network"], *("" if line[name] is None else f"{line[name]:.3f}" for name in names))
        for line in lines
    ]
    empty = [f"empty: {line['map']}, {line['network']}, in {line['empty_in']}" for line in lines if line["empty_in"]]
    return [about, tables.text(("map", "network", *(HEADERS[name] for name in names)), table), *empty, ""]


def _title(known: dict, phantoms_network: bool) -> str:
    shows = f"shows {known['shows']}; " if known["shows"] else ""
    synthetic = "PHANTOM, synthetic. " if known["phantom"] else "Network trained on a PHANTOM. " * phantoms_network
    name = PurePosixPath(known["file"]).name.encode("ascii", "replace").decode()[:60]
    name = shown(name).replace("$", r"\$")  # between two of them matplotlib reads mathematics
    return f"{synthetic}Never for diagnosis.\n{name}: {shows}named {known['named']}, {known['probability']:.3f}"


def _cell(value: object) -> object:
    if isinstance(value, float):
        return "" if np.isnan(value) else f"{value:.6g}"
    return value


def _safe(file: Member) -> str:
    """Of a file's name what every file system takes."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", PurePosixPath(str(file)).stem)[:40]
