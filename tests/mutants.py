"""Whether the tests would notice: one small mistake at a time in `paper/` and `phantom/`, which some test must catch.

A test that cannot fail is worse than none. Each mutant below is such a mistake as a person makes: a wrong sign, a
swapped pair, `>` for `>=`, another library's default. The package and the tests are copied into a temporary folder, the
mistake is made there, and the named tests are run. Run it after changing a test or a formula; it takes some minutes.

    python -m tests.mutants          all of them
    python -m tests.mutants 3 17     only these, by their number in the table

Prints a table and exits with 1 if a mutant survives. A survivor asks for a better test, not for another mutant.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent


class Mutant(NamedTuple):
    mistake: str
    file: str  # below ich_jax/
    old: str  # occurs once in it
    new: str
    tests: tuple[str, ...]  # files below tests/, one of which must fail


PRINTED, SPLITS, WINDOWING = ("paper/test_printed.py",), ("paper/test_splits.py",), ("paper/test_windowing.py",)
STEPS, STOPPING, METRICS = ("paper/test_steps.py",), ("paper/test_early_stopping.py",), ("paper/test_metrics.py",)
HEAD, BLEEDS, SCANNER = ("phantom/test_head.py",), ("phantom/test_bleeds.py",), ("phantom/test_scanner.py",)
CLUTTER, FACE = ("phantom/test_clutter.py",), ("phantom/test_face.py",)
AUGMENT = ("training/test_augment.py",)

MUTANTS = (
    Mutant("β1 of every library, not the paper's", "paper/printed.py", "BETA1 = 0.95", "BETA1 = 0.9", PRINTED),
    Mutant(
        "confusion matrix read by columns",
        "paper/printed.py",
        "for row in rows.values()])",
        "for row in rows.values()]).T",
        PRINTED,
    ),
    Mutant("a quarter rounded up", "paper/splits.py", "len(images) // 4", "-(-len(images) // 4)", SPLITS),
    Mutant(
        "one image of each class lost", "paper/splits.py", "images[2 * quarter :]", "images[2 * quarter + 1 :]", SPLITS
    ),
    Mutant(
        "slices split as if each were a patient",
        "paper/splits.py",
        "classes, patients)]",
        "classes, np.arange(len(classes)))]",
        SPLITS,
    ),
    Mutant("three patients are enough", "paper/splits.py", "patients.max() < 3", "patients.max() < 2", SPLITS),
    Mutant("grey values cut off", "paper/windowing.py", "xp.round(grey)", "xp.floor(grey)", WINDOWING),
    Mutant("halves rounded up", "paper/windowing.py", "xp.round(grey)", "xp.floor(grey + 0.5)", WINDOWING),
    Mutant("level and width swapped", "paper/windowing.py", "Window(80, 200)", "Window(200, 80)", WINDOWING),
    Mutant(
        "red and blue swapped", "paper/windowing.py", "(BRAIN, SUBDURAL, BONE)", "(BONE, SUBDURAL, BRAIN)", WINDOWING
    ),
    Mutant(
        "DICOM's LINEAR for LINEAR_EXACT", "paper/windowing.py", "255 / width_hu", "255 / (width_hu - 1)", WINDOWING
    ),
    Mutant("another ε", "paper/steps.py", "0.999, 1e-7", "0.999, 1e-8", STEPS),
    Mutant("ε after bias correction", "paper/steps.py", "jnp.sqrt(1 - BETA2 ** (steps_taken + 1))", "1", STEPS),
    Mutant("ε's steps counted from 2", "paper/steps.py", "(steps_taken + 1)", "(steps_taken + 2)", STEPS),
    Mutant("an ε that is too large", "paper/steps.py", "0.999, 1e-7", "0.999, 1e-4", STEPS),
    Mutant("β2 0.99", "paper/steps.py", "BETA2, EPSILON = 0.999", "BETA2, EPSILON = 0.99", STEPS),
    Mutant("the given β1 not passed on", "paper/steps.py", "b1=beta1", "b1=0.9", STEPS),
    Mutant("images divided by 256", "paper/steps.py", "astype(jnp.float32) / 255", "astype(jnp.float32) / 256", STEPS),
    Mutant("every batch weighs the same", "paper/steps.py", "sums.loss + loss * size", "sums.loss + loss", STEPS),
    Mutant("dropout the same at every step", "paper/steps.py", "fold_in(key, state.step)", "fold_in(key, 0)", STEPS),
    Mutant("steps not counted", "paper/steps.py", "TrainState(state.step + 1,", "TrainState(state.step,", STEPS),
    Mutant(
        "dropout in evaluation",
        "paper/steps.py",
        "deterministic=not training",
        "deterministic=False",
        STEPS,
    ),
    Mutant(
        "batch norm looks at the batch in evaluation",
        "paper/steps.py",
        "use_running_average=not training",
        "use_running_average=False",
        STEPS,
    ),
    Mutant(
        "running statistics thrown away",
        "paper/steps.py",
        "updates), batch_stats, moments",
        "updates), state.batch_stats, moments",
        STEPS,
    ),
    Mutant("the old state's memory is kept", "paper/steps.py", "donate_argnums=0", "donate_argnums=()", STEPS),
    Mutant(
        "an equal loss counts as better",
        "paper/early_stopping.py",
        "loss < self.best_loss",
        "loss <= self.best_loss",
        STOPPING,
    ),
    Mutant(
        "an equal loss counts as a rise",
        "paper/early_stopping.py",
        "loss <= self.last_loss",
        "loss < self.last_loss",
        STOPPING,
    ),
    Mutant("one epoch too patient", "paper/early_stopping.py", ">= self.patience", "> self.patience", STOPPING),
    Mutant(
        "precision over rows",
        "paper/metrics.py",
        "return _ratio(np.diag(confusion), confusion.sum(axis=0))",
        "return _ratio(np.diag(confusion), confusion.sum(axis=1))",
        METRICS,
    ),
    Mutant("tied scores count as won", "paper/metrics.py", "- (counts - 1) / 2)[place]", ")[place]", METRICS),
    Mutant(
        "absent classes pull the mean down",
        "paper/metrics.py",
        "recall(confusion)[occurs].mean()",
        "recall(confusion).mean()",
        METRICS,
    ),
    Mutant(
        "precision reported as recall",
        "paper/metrics.py",
        '"recall_weighted": weighted(recall(confusion)',
        '"recall_weighted": weighted(precision(confusion)',
        METRICS,
    ),
    Mutant(
        "inside and outside swapped",
        "phantom/shapes.py",
        "np.clip(0.5 - distance_mm",
        "np.clip(0.5 + distance_mm",
        HEAD,
    ),
    Mutant("a rod that does not taper", "phantom/shapes.py", "(radii[1] - radii[0]))", "(radii[0] - radii[0]))", HEAD),
    Mutant(
        "grey and white matter swapped", "phantom/tissues.py", "WHITE, GREY, MUSCLE =", "GREY, WHITE, MUSCLE =", HEAD
    ),
    Mutant("the head is sheared, not turned", "phantom/head.py", "cos * v - sin * u", "cos * v + sin * u", HEAD),
    Mutant("the nose is cut off", "phantom/head.py", "(26 if lowest < 0 else 0)", "0", HEAD),
    Mutant("blood as dark as the brain", "phantom/bleeds.py", "PLAIN_HU = (60, 78)", "PLAIN_HU = (28, 38)", BLEEDS),
    Mutant(
        "no blood along the falx", "phantom/bleeds.py", "falx_distance(f) - thickness", "falx_distance(f) + 9", BLEEDS
    ),
    Mutant(
        "no blood on the tentorium",
        "phantom/bleeds.py",
        "np.maximum(above - thickness,",
        "np.maximum(above + 9,",
        BLEEDS,
    ),
    Mutant(
        "blood on the wrong side of the falx",
        "phantom/bleeds.py",
        "-bleed.side * f.bx - 0.5)",
        "bleed.side * f.bx - 0.5)",
        BLEEDS,
    ),
    Mutant(
        "blood on both sides of the tentorium",
        "phantom/bleeds.py",
        "np.maximum(in_front, -bleed.side * f.bx)",
        "in_front",
        BLEEDS,
    ),
    Mutant(
        "the crescent crosses the midline",
        "phantom/bleeds.py",
        "np.maximum(layer, 1.5 - bleed.side * f.x)",
        "layer",
        BLEEDS,
    ),
    Mutant("blood rises in the ventricles", "phantom/bleeds.py", "step_down(-level,", "step_down(level,", BLEEDS),
    Mutant("the lens reaches into the bone", "phantom/bleeds.py", "np.maximum(ball, f.cavity + 0.3)", "ball", BLEEDS),
    Mutant("a blob pulls the brain", "phantom/bleeds.py", "before / distance - 1", "1 - before / distance", BLEEDS),
    Mutant("no oedema", "phantom/render.py", "if bleed.oedema_mm:", "if False:", BLEEDS),
    Mutant(
        "traces of blood in slices without a label",
        "phantom/render.py",
        "            continue\n",
        "            pass\n",
        BLEEDS,
    ),
    Mutant("dark strokes turn bright", "phantom/clutter.py", "* (hu > stroke.hu), stroke.hu)", ", 70.0)", CLUTTER),
    Mutant(
        "swelling within the skull",
        "phantom/clutter.py",
        "np.maximum(outer + 1.5 - f.vault, 0.5 - bump)",
        "0.5 - bump",
        CLUTTER,
    ),
    Mutant("no throat", "phantom/face.py", "paint(hu, np.maximum(throat, 3 - f.floor), AIR)", "pass", FACE),
    Mutant(
        "turned the other way",
        "training/augment.py",
        "jnp.cos(turn) * down + jnp.sin(turn) * right",
        "jnp.cos(turn) * down - jnp.sin(turn) * right",
        AUGMENT,
    ),
    Mutant("air is shifted too", "training/augment.py", "(was > 0.5) & (was < 254.5)", "was < 254.5", AUGMENT),
    Mutant("intercept added", "phantom/scanner.py", "3071) - intercept)", "3071) + intercept)", SCANNER),
    Mutant("wrapped by one too few", "phantom/scanner.py", "stored + 4096", "stored + 4095", SCANNER),
    Mutant("padding beyond the corners only", "phantom/scanner.py", "max(hu.shape) / 2", "max(hu.shape)", SCANNER),
    Mutant("MONOCHROME1", "phantom/scanner.py", '"MONOCHROME2"', '"MONOCHROME1"', SCANNER),
    Mutant("high bit one too high", "phantom/scanner.py", "fmt.bits, fmt.bits - 1\n", "fmt.bits, fmt.bits\n", SCANNER),
    Mutant("noise not scaled", "phantom/scanner.py", "scanner.noise_hu / grain.std()", "scanner.noise_hu", SCANNER),
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description="Whether the tests would notice.")
    parser.add_argument("numbers", nargs="*", type=int, metavar="NUMBER", help="of a mutant (default: all)")
    every = range(1, len(MUTANTS) + 1)
    chosen = parser.parse_args().numbers or every
    if not set(chosen) <= set(every):
        parser.error(f"mutants have the numbers 1 to {len(MUTANTS)}")
    mutants = {number: MUTANTS[number - 1] for number in chosen}
    for number, mutant in mutants.items():
        count = (ROOT / "ich_jax" / mutant.file).read_text(encoding="utf-8").count(mutant.old)
        if count != 1:
            print(f"mutant {number}: {mutant.old!r} occurs {count} times in {mutant.file}, not once")
            return 2
    survivors = 0
    with tempfile.TemporaryDirectory(prefix="ich_jax-mutants-") as folder:
        copy = Path(folder) / "copy"
        for name in ("ich_jax", "tests"):
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", copy)
        every_test = sorted({test for mutant in mutants.values() for test in mutant.tests})
        failure = first_failure(copy, every_test)
        if failure:
            print(f"the code fails as it is: {failure}")
            return 2
        width = max(len(mutant.mistake) for mutant in mutants.values())
        for number, mutant in mutants.items():
            path = copy / "ich_jax" / mutant.file
            whole = path.read_text(encoding="utf-8")
            path.write_text(whole.replace(mutant.old, mutant.new), encoding="utf-8")
            failure = first_failure(copy, mutant.tests)
            path.write_text(whole, encoding="utf-8")
            survivors += not failure
            place = f"{number:2}  {mutant.file:24}  {mutant.mistake:{width}}"
            print(f"{place}  {failure or 'SURVIVED'}", flush=True)
    print(f"{len(mutants) - survivors} of {len(mutants)} mutants caught")
    return 1 if survivors else 0


def first_failure(copy: Path, tests: list[str] | tuple[str, ...]) -> str | None:
    """The first test that fails in the copy, None if all pass. Tests on real slices are skipped: not all have any."""
    environment = {name: value for name, value in os.environ.items() if name != "ICH_JAX_RSNA_SAMPLE"}
    environment |= {
        "PYTHONPATH": str(copy),
        "PYTHONDONTWRITEBYTECODE": "1",  # two files written within a second would share their compiled code
        "JAX_COMPILATION_CACHE_DIR": str(copy.parent / "compiled"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.3",
    }
    options = ("-x", "-rfE", "--tb=no", "-p", "no:cacheprovider", "--hypothesis-seed=0")
    command = [sys.executable, "-m", "pytest", *options, *(f"tests/{test}" for test in tests)]
    done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True)
    if done.returncode == 0:
        return None
    found = re.search(r"^FAILED tests/(\S+)", done.stdout, re.MULTILINE)
    if done.returncode != 1 or not found:  # a mutant that does not even import proves nothing
        raise RuntimeError(f"pytest could not run:\n{done.stdout}{done.stderr}")
    return found[1]


if __name__ == "__main__":
    sys.exit(main())
