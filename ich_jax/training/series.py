"""From the answers for slices to what they say of a scan. The paper knows slices only; a radiologist reads series.

The highest probability of many slices is no probability of the scan: the more slices, the more chances for one to be
called wrongly (docs/phantom.md has a measurement).
"""

from ich_jax.data.dicom import StoredSlice
from ich_jax.data.find import Member
from ich_jax.paper.printed import CLASSES, TYPES

MOST_SUSPICIOUS = 3


def place_of(file: Member, raw: StoredSlice) -> dict:
    """{"file", "series", "position_mm"} of a slice. The series is its UID, or the study's or the folder if the file has
    none; the position, along the normal of the image, may be None."""
    series = raw.series_id or raw.study_id or str(file).rpartition("/")[0] or "."
    return {"file": str(file), "series": series, "position_mm": raw.along_normal}


def by_series(answers: list[dict]) -> list[list[dict]]:
    """Those with a `place_of`, such as the answers of `inference.predict` that have probabilities, series by series,
    each from one end of the body to the other: along the normal of its images, whatever files and instances are called.
    Slices that do not tell where they are come last, as they came."""
    found: dict[str, list[dict]] = {}
    for answer in answers:
        if "series" in answer:
            found.setdefault(answer["series"], []).append(answer)
    return [sorted(slices, key=_place) for slices in found.values()]


def _place(answer: dict) -> tuple[bool, float]:
    position = answer["position_mm"]
    return position is None, position or 0.0


def hemorrhage(answer: dict) -> float:
    """The probability of any hemorrhage in a slice."""
    return 1 - answer["probabilities"][CLASSES[0]]


def summary(slices: list[dict]) -> dict:
    """Of one series: {"series", "slices": how many, "highest": {type: {"probability", "file"}},
    "most_suspicious": [{"file", "any_hemorrhage"}, …]}."""
    highest = {}
    for kind in TYPES:
        one = max(slices, key=lambda answer: answer["probabilities"][kind])
        highest[kind] = {"probability": one["probabilities"][kind], "file": one["file"]}
    suspicious = sorted(slices, key=hemorrhage, reverse=True)[:MOST_SUSPICIOUS]
    return {
        "series": slices[0]["series"],
        "slices": len(slices),
        "highest": highest,
        "most_suspicious": [{"file": one["file"], "any_hemorrhage": hemorrhage(one)} for one in suspicious],
    }


def shown(name: str) -> str:
    """A name in one line, whatever letters it has."""
    return "".join(letter if letter.isprintable() else "?" for letter in name)


def as_table(series: list[list[dict]]) -> list[str]:
    """A line a slice, in the order of `by_series`."""
    slices = [one for group in series for one in group]
    width = max((len(one["file"]) for one in slices), default=0)
    lines = [f"{'file':<{width}}  {'predicted':<16}" + "".join(f"{name:>17}" for name in CLASSES)] if slices else []
    for one in slices:
        shares = "".join(f"{share:>17.4f}" for share in one["probabilities"].values())
        lines.append(f"{shown(one['file']):<{width}}  {one['predicted']:<16}{shares}")
    return lines


def as_line(found: dict) -> str:
    """A `summary` in one line, with files' names in place of their paths."""
    suspicious = ", ".join(
        f"{shown(one['file'].rpartition('/')[2])} {one['any_hemorrhage']:.4f}" for one in found["most_suspicious"]
    )
    highest = ", ".join(f"{kind} {one['probability']:.4f}" for kind, one in found["highest"].items())
    count = f"{found['slices']} slice{'s' * (found['slices'] > 1)}"
    return (
        f"series {shown(found['series'])}: {count}; any hemorrhage, highest: {suspicious}"
        f"; each type, highest: {highest}"
    )
