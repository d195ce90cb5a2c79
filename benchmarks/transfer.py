"""`python -m benchmarks.transfer RUN [RUN …] SOURCE`: what networks know of slices from elsewhere.

The networks, mostly trained on phantoms with different seeds, answer every labelled slice of a source, which must not
hold what they were trained on. A slice with several types of hemorrhage is a positive for any
hemorrhage and for each of its types. A ranking by chance has an AUC of 0.5. Slices of one patient resemble each other,
so each interval is that of a bootstrap over patients, the middle 95 % of the draws, with the networks as they are: how
far other seeds would be off is the standard deviation's matter. Of fewer than FEWEST slices of a kind there is none.
"""

import argparse
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from benchmarks.answers import Answers, ask
from benchmarks.machine import describe_machine, print_table, save
from ich_jax.data.find import read_member
from ich_jax.data.prepared import open_prepared
from ich_jax.data.source import Source, open_source
from ich_jax.paper.metrics import auc, log_softmax
from ich_jax.paper.printed import CLASSES
from ich_jax.paper.windowing import BRAIN, apply_window
from ich_jax.plumbing.command import InputError, run_command
from ich_jax.plumbing.files import write_whole_with
from ich_jax.results.bootstrap import DRAWS, auc_of_draws, draws, interval
from ich_jax.show.figures import grey_slices
from ich_jax.training.run import Run, open_run

NONE = CLASSES.index("none")
BINS = 15  # of equal width, as in metrics.calibration
DRAWN = 10**8  # all draws together have at most this many counts of patients, 200 MB
MISTAKES = 12  # in the picture
FEWEST = 5  # slices with and without; an interval of fewer would look surer than it is


def main(argv: list[str] | None = None) -> dict:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.transfer", description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="run folders, one a seed, of one image size")
    parser.add_argument(
        "source", type=Path, metavar="SOURCE", help="folder or zip of labelled DICOM slices, Kaggle's or any other"
    )
    parser.add_argument("--labels", type=Path, help="label CSV (default: the one in the source)")
    parser.add_argument("--brain-window-only", action="store_true", help="clip to 0…80 HU before windowing")
    parser.add_argument("--json", type=Path, help="folder to write <device>.json into")
    parser.add_argument("--picture", type=Path, help="PNG to draw the twelve surest mistakes into")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap (default: 0)")
    parser.add_argument("--workers", type=int, default=1, help="processes that read slices (default: 1)")
    args = parser.parse_args(argv)
    if args.workers < 1 or args.seed < 0:
        parser.error("--workers must be at least 1, --seed at least 0")
    if args.picture and not args.picture.absolute().parent.is_dir():
        raise InputError(f"{args.picture}: there is no folder {args.picture.absolute().parent}")
    runs = _open_runs(args.runs)
    source = open_source(args.source, args.labels)
    known = _learned_from(runs, source)
    answers = ask(runs, source, args.brain_window_only, args.workers)
    if not answers.members:
        raise InputError(f"{args.source}: none of its labelled slices can be read")
    result = {
        "trained_on": " and ".join(sorted({run.found.title for run in runs})),
        "runs": [run.folder.resolve().name for run in runs],
        "data": f"{args.source.resolve().name}{' (PHANTOM)' if answers.synthetic else ''}",
        "brain_window_only": args.brain_window_only,
        "left_out": dict(sorted(answers.left_out.items())),
        "labelled_twice": len(source.labels.duplicates),
        "in_the_networks_data": known,
        **measure(answers, args.seed),
    }
    _report(result, source.notes)
    if args.json:
        save(args.json, "transfer_brain_window_only" if args.brain_window_only else "transfer", result)
    if args.picture:
        images, titles, mistakes = surest_mistakes(answers)
        seen = ", brain window only" if args.brain_window_only else ""
        several = f", mean of {len(runs)} networks" if len(runs) > 1 else ""
        title = f"the {len(images)} surest of {mistakes} mistakes at 0.5 on {result['data']}{seen}{several}"
        figure = grey_slices(images, titles, f"{title}\ntrained on {result['trained_on']}; never for diagnosis")
        write_whole_with(args.picture, partial(figure.savefig, format="png", dpi=100))
        print(f"drawn: {args.picture}")
    return result


def _learned_from(runs: list[Run], source: Source) -> int:
    """How many of the source's slices are in a data set that the networks were trained with, as far as that is still
    there and the same. Whoever asks about them may have a reason, but is told."""
    known = set()
    for path in {run.found.data for run in runs}:
        with suppress(InputError):  # gone, or damaged since
            prepared = open_prepared(path)
            if prepared.fingerprint in {run.found.fingerprint for run in runs}:
                known |= set(prepared.image_ids)
    return len(known & set(source.members))


def _open_runs(folders: list[Path]) -> list[Run]:
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise InputError("a run is given twice; one seed may not count as two")
    runs = [open_run(folder) for folder in folders]
    for run in runs:
        sizes = run.found.image_size, runs[0].found.image_size
        if sizes[0] != sizes[1]:
            raise InputError(f"{run.folder}: has images of {sizes[0]} pixels, {runs[0].folder} of {sizes[1]}")
    return runs


def measure(answers: Answers, seed: int = 0) -> dict:
    """What was asked, counted; and of each network the AUCs and `any_figures`, None where a figure cannot be had."""
    p = np.stack([np.exp(log_softmax(logits)) for logits in answers.logits])  # (R, N, 6)
    questions = {"any": (~answers.truth[:, NONE], 1 - p[..., NONE])}
    questions |= {name: (answers.truth[:, k], p[..., k]) for k, name in enumerate(CLASSES) if k != NONE}
    alone = [patient or f"slice {k}" for k, patient in enumerate(answers.patients)]
    patient_names, patients = np.unique(alone, return_inverse=True)
    count = min(DRAWS, DRAWN // len(patient_names)) if len(patient_names) > 1 else 0  # one patient tells no spread
    drawn = draws(len(patient_names), seed, count) if count else np.zeros((0, 1), int)
    result = {"slices": len(alone), "patients": len(patient_names), "nameless": answers.patients.count("")}
    result |= {"studies_for_patients": answers.studies_for_patients, "draws": count, "seed": seed, "auc": {}}
    for name, (positive, scores) in tqdm(questions.items(), desc="bootstrap", leave=False, disable=None):
        of_draws = np.stack([auc_of_draws(positive, one, patients, drawn) for one in scores])  # (R, draws)
        too_few = min(positive.sum(), (~positive).sum()) < FEWEST
        result["auc"][name] = _row([auc(positive, one) for one in scores]) | {
            "positive": int(positive.sum()),
            "draws_left_out": int(np.isnan(of_draws[0]).sum()),
            "intervals": [None if too_few else _interval(values) for values in of_draws],
            "interval_of_mean": None if too_few else _interval(of_draws.mean(axis=0)),
        }
    bleeds, scores = questions["any"]
    found = [any_figures(bleeds, one) for one in scores]
    result["any"] = {name: _row([figures[name] for figures in found]) for name in found[0]}
    return result


def _row(values: list[float | None]) -> dict:
    """One figure of all networks; the standard deviation over them is a sample's, so one network has none."""
    some = values if None not in values else []
    deviation = float(np.std(some, ddof=1)) if len(some) > 1 else None
    return {"values": values, "mean": float(np.mean(some)) if some else None, "standard_deviation": deviation}


def _interval(values: np.ndarray) -> tuple[float, float] | None:
    """None if no draw has a value."""
    return None if np.isnan(values).all() else interval(values)


def any_figures(positive: np.ndarray, p: np.ndarray) -> dict[str, float | None]:
    """What one network's probabilities of any hemorrhage are worth with a threshold, and as probabilities.

    Args:
        positive: (N,) bool.
        p: (N,) floats.

    Returns:
        Sensitivity and specificity where 'bleeding' is said above 0.5; sensitivity above the lowest threshold with a
        specificity of at least 0.9; the mean gap between probability and share of positives, over bins weighted by
        their slices (Guo et al. 2017, equation 3); the mean probability. None where there is no such slice.
    """
    bleeding, without = p[positive], np.sort(p[~positive])
    threshold = without[-1 - len(without) // 10] if len(without) else None  # a tenth may lie above
    place = np.minimum((p * BINS).astype(int), BINS - 1)
    return {
        "sensitivity at 0.5": _share(bleeding > 0.5),
        "specificity at 0.5": _share(without <= 0.5),
        "sensitivity at specificity 0.9": _share(bleeding > threshold) if len(without) else None,
        f"expected calibration error, {BINS} bins": float(np.abs(np.bincount(place, p - positive)).sum() / len(p)),
        "mean probability": float(p.mean()),
    }


def _share(flags: np.ndarray) -> float | None:
    return float(flags.mean()) if len(flags) else None


def surest_mistakes(answers: Answers) -> tuple[list[np.ndarray], list[str], int]:
    """Brain windows and titles of the slices whose probability of any hemorrhage, on average over the networks, is on
    the wrong side of 0.5 and furthest from the truth, the furthest first; and how many there are in all."""
    p = np.mean([1 - np.exp(log_softmax(logits)[:, NONE]) for logits in answers.logits], axis=0)
    error = np.abs(p - ~answers.truth[:, NONE])
    images, titles = [], []
    for k in np.argsort(-error)[:MISTAKES]:
        if error[k] > 0.5:
            raw = read_member(answers.members[k])
            images.append(apply_window(raw.encoding.to_hu(raw.stored), *BRAIN))
            types = " + ".join(name for name, true in zip(CLASSES, answers.truth[k], strict=True) if true)
            titles.append(f"{types}\np(any) {p[k]:.3f}")
    return images, titles, int((error > 0.5).sum())


def _report(result: dict, notes: tuple[str, ...]) -> None:
    names, aucs, draws_made = result["runs"], result["auc"], result["draws"]
    networks = f"{len(names)} networks" if len(names) > 1 else "a network"
    print(f"{result['data']}: {networks} trained on {result['trained_on']}; {describe_machine()}; never for diagnosis")
    bleeding = aucs["any"]["positive"]
    lines = [f"{result['slices']:,} slices of {result['patients']:,} patients, {bleeding:,} with hemorrhage", *notes]
    if result["brain_window_only"]:
        lines.append("as if only the brain window had been kept: clipped to 0…80 HU")
    if result["in_the_networks_data"]:
        known = f"{result['in_the_networks_data']:,} of the source's slices"
        lines.append(f"CAUTION: {known} are in the data set that these networks were trained with")
    if result["left_out"]:
        lines.append("left out: " + ", ".join(f"{count:,} {why}" for why, count in result["left_out"].items()))
    if result["labelled_twice"]:
        lines.append(f"{result['labelled_twice']} slices are in the label file twice and were counted once")
    if result["studies_for_patients"]:
        lines.append(f"{result['studies_for_patients']:,} slices have no PatientID; their study counts as the patient")
    if result["nameless"]:
        lines.append(f"{result['nameless']:,} slices name neither patient nor study; each counts as one patient")
    print(*(f"  {line}" for line in lines), "", sep="\n")
    columns = [*names, *(["mean ± standard deviation"] if len(names) > 1 else [])]
    intervals = {name: [*row["intervals"], row["interval_of_mean"]] for name, row in aucs.items()}
    table = [(name, f"{row['positive']:,}", *_cells(row, intervals[name])) for name, row in aucs.items()]
    print_table(("AUC [95 % interval]", "positive", *columns), table)
    how = f"{draws_made:,} draws of patients, seed {result['seed']}" if draws_made else "one patient: no intervals"
    how += f"; no interval for fewer than {FEWEST} slices of a kind" if draws_made else ""
    known = {name: row for name, row in aucs.items() if row["mean"] is not None}
    short = {name: row["draws_left_out"] for name, row in known.items() if row["interval_of_mean"]}
    lacking = [f"{count} {name}" for name, count in short.items() if count]
    print(f"  {how}{'; left out, for lack of one of the two kinds: ' if lacking else ''}{', '.join(lacking)}\n")
    print_table(("any hemorrhage", *columns), [(name, *_cells(row)) for name, row in result["any"].items()])
    print(f"  share of slices with hemorrhage: {bleeding / result['slices']:.3f}")


def _cells(row: dict, intervals: list[tuple[float, float] | None] | None = None) -> list[str]:
    """A figure of each network and, if there are several, of their mean, each with its interval."""
    values, several = row["values"], len(row["values"]) > 1
    if row["mean"] is None:
        return ["needs both kinds" if intervals else "no such slices"] * (len(values) + several)
    cells = [f"{value:.3f}" for value in values]
    cells += [f"{row['mean']:.3f} ± {row['standard_deviation']:.3f}"] if several else []
    ranges = [f" [{low_high[0]:.3f}, {low_high[1]:.3f}]" if low_high else "" for low_high in intervals or []]
    return [cell + extra for cell, extra in zip(cells, ranges or [""] * len(cells), strict=False)]


if __name__ == "__main__":
    run_command(main)
