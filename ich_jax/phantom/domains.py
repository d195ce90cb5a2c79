"""How much heads, bleeds and scanners differ: the settings of the generator.

`usual` is what networks are trained on. `shifted` is other people in another scanner, held another way: ranges that
`usual` covers thinly or not at all. A network that only learned how `usual` looks fails there first, so `shifted`
stands in for reality where there is none to look at. Parts of the variety can be left out, to see what each is worth.

Ranges are (lowest, highest), drawn uniformly. Where no source is named, a range is chosen to hold what the survey of
RSNA's headers and textbooks of radiology show, a little generously.
"""

from dataclasses import dataclass, replace

GENERATOR = 2  # the version of the phantom: raised when the same seed gives other slices

Range = tuple[float, float]


@dataclass(frozen=True)
class Domain:
    """Ranges and shares from which each patient and each scanner is drawn."""

    name: str
    # How the head lies in the picture.
    rotation_deg: float  # standard deviation about the body's axis
    tilt_deg: Range  # about the axis through the ears: chin up or down, and the gantry
    lean_deg: float  # standard deviation, towards a shoulder
    offset_mm: float  # standard deviation of the head's place, to each side and up and down
    field_mm: Range  # side of the picture; below 210 mm parts of the head are outside
    highest_mm: Range  # where the scan starts, from the inside of the crown; below 0 the vertex is missed
    lowest_mm: Range  # where it ends: −52 is the skull base, −95 the upper neck
    # The head.
    size: Range  # 1 is a mean adult's
    skull_mm: Range
    scalp_mm: Range
    brain_hu: Range  # added to all brain
    contrast: Range  # of grey against white matter; 1 is the literature's
    # The scanner.
    blur_mm: Range  # standard deviation of the reconstruction kernel
    noise_hu: Range  # standard deviation in the brain
    grain_mm: Range  # how coarse the noise is
    cupping_hu: Range  # how much brighter brain is beside the skull than in the middle (beam hardening)
    shading_hu: Range  # from one side of the picture to the other
    rests: tuple[str, ...]  # headrests, see scanner.py
    # How often what is not blood lies about, as a factor on clutter.SHARES; and whether bleeds may be hard to see.
    clutter: float = 1.0
    subtle: bool = True


DOMAINS = {
    domain.name: domain
    for domain in (
        Domain(
            "usual",
            rotation_deg=8,
            tilt_deg=(-14, 16),
            lean_deg=3.5,
            offset_mm=8,
            field_mm=(200, 280),
            highest_mm=(-20, 5),
            lowest_mm=(-95, -45),
            size=(0.9, 1.1),
            skull_mm=(3.6, 8.2),
            scalp_mm=(4.5, 12),
            brain_hu=(-6, 4),
            contrast=(0.6, 1.3),
            blur_mm=(0.45, 1.05),
            noise_hu=(1.6, 5.2),
            grain_mm=(0.28, 0.6),
            cupping_hu=(1, 15),
            shading_hu=(0, 5),
            rests=("cradle", "bed", "sides", "cup", "none"),
        ),
        Domain(
            "shifted",
            rotation_deg=14,
            tilt_deg=(-26, 28),
            lean_deg=6,
            offset_mm=13,
            field_mm=(190, 320),
            highest_mm=(-30, 10),
            lowest_mm=(-105, -50),
            size=(0.82, 1.14),
            skull_mm=(5, 10.5),
            scalp_mm=(4, 13),
            brain_hu=(-4, 7),
            contrast=(0.3, 0.9),
            blur_mm=(0.8, 1.4),
            noise_hu=(4, 9),
            grain_mm=(0.5, 1.1),
            cupping_hu=(6, 20),
            shading_hu=(2, 8),
            rests=("cup", "pillow"),
            clutter=1.6,
        ),
    )
}

# What can be left out of a domain: the values of the phantom that had none of it.
LEFT_OUT = {
    "pose": {
        "rotation_deg": 2.3,
        "tilt_deg": (-2, 4),
        "lean_deg": 1.1,
        "offset_mm": 3,
        "field_mm": (220, 250),
        "highest_mm": (6, 9),
        "lowest_mm": (-52, -51),
        "size": (0.97, 1.03),
    },
    "clutter": {"clutter": 0.0, "cupping_hu": (0, 0), "shading_hu": (0, 0)},
    "subtle": {"subtle": False},
}


def choose(name: str, without: str = "") -> Domain:
    """A domain, all of it or `without` a part: a key of LEFT_OUT, or "" for none.

    >>> choose("usual", without="clutter").clutter
    0.0
    """
    return replace(DOMAINS[name], **LEFT_OUT.get(without, {}))
