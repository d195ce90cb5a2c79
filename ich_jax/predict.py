"""`python -m ich_jax.predict RUN FILE…`: six class probabilities for each DICOM slice, and a line for each series."""

import argparse
import json
import sys
from pathlib import Path

from tqdm import tqdm

from ich_jax.plumbing.command import InputError, run_command


def main(argv: list[str] | None = None) -> dict:
    parser = argparse.ArgumentParser(
        prog="python -m ich_jax.predict",
        description="Class probabilities for DICOM slices, series by series in the order of the body. A file that "
        "cannot be read is reported and the rest go on.",
    )
    parser.add_argument("run", type=Path, help="run folder, from `python -m ich_jax.train`, or a shared one")
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="DICOM files, folders or zips of them")
    parser.add_argument("--json", action="store_true", help="a JSON object instead of a table")
    parser.add_argument("--no-repair", action="store_true", help="do not undo the wrap-around of 12-bit values")
    args = parser.parse_args(argv)

    from ich_jax.data.find import find_slices, in_words
    from ich_jax.training.inference import predict
    from ich_jax.training.outcome import of_a_phantom
    from ich_jax.training.series import as_line, as_table, by_series, summary
    from ich_jax.training.shared import open_trained

    files, left_out, damaged = find_slices(args.files)
    run = open_trained(args.run)
    answers = [{"file": line.partition(": ")[0], "error": line.partition(": ")[2]} for line in damaged]
    for line in damaged:
        print(line, file=sys.stderr)
    work = predict(run.network, run.state, run.found.image_size, files, not args.no_repair)
    for answer in tqdm(work, total=len(files), unit="slice", desc="predict", leave=False, disable=None):
        answers.append(answer)
        if "error" in answer:
            tqdm.write(f"{answer['file']}: {answer['error']}", file=sys.stderr)
        elif "left_out" in answer:
            tqdm.write(f"{answer['file']}: left out: {answer['left_out']}", file=sys.stderr)
    series = by_series(answers)
    summaries = [summary(slices) for slices in series]
    answered, refused = sum(map(len, series)), sum("error" in answer for answer in answers)
    left_out["no axial CT slice"] += len(answers) - answered - refused
    counts = f"{answered} answered, {refused} refused{in_words(+left_out)}"
    result = {"network": of_a_phantom(run.settings, run.found)} if run.found.phantom else {}
    in_order = [one for slices in series for one in slices]
    in_order += [answer for answer in answers if "probabilities" not in answer]
    result |= {"slices": in_order, "series": summaries, "counts": counts}
    if args.json:
        print(json.dumps(result, indent=2))
    else:
        print(*filter(None, [result.get("network")]), *as_table(series), "", *map(as_line, summaries), counts, sep="\n")
    if refused:
        raise InputError(f"{refused} of {len(answers)} files could not be read")
    if not answered:
        raise InputError(f"no axial CT slice among {len(answers)} files")
    return result


if __name__ == "__main__":
    run_command(main, at_once=True)
