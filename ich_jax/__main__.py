"""`python -m ich_jax` lists the commands."""

from ich_jax.plumbing.command import run_command

COMMANDS = {
    "phantom": "synthetic slices (DICOM) in the layout of RSNA's data, for those who do not have that",
    "prepare": "real DICOM slices (folder or zip) → a prepared folder of 224×224 RGB images",
    "train": "prepared folder → a trained network with curves, confusion matrix and metrics",
    "evaluate": "metrics, confusion matrix and figures of a finished run",
    "predict": "six class probabilities for DICOM files",
    "explain": "where a network looks, with the checks that such pictures need",
    "view": "slices as one HTML page, with windows to drag and what a network says",
    "share": "what one passes on of a trained network: weights, settings, a model card",
    "models": "what each layer of a network puts out, holds and costs",
    "audit": "the paper's tables, recomputed from its own confusion matrices",
    "reproduce": "the paper's five trainings, and its tables and figures beside ours",
}


def main() -> None:
    print("ich_jax: a paper on intracranial hemorrhage classification, made executable.\n")
    for name, purpose in COMMANDS.items():
        print(f"  python -m ich_jax.{name:<10} {purpose}")
    print("\nEach takes --help. For learning and research, never for diagnosis.")


if __name__ == "__main__":
    run_command(main)
