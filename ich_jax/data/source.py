"""Where slices and their labels come from: a folder or a zip, in the layout of the Kaggle download or any other."""

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from ich_jax.data.find import (
    SLICE_ENDINGS,
    ZIP_ERRORS,
    Entry,
    Listing,
    Member,
    by_name,
    in_words,
    is_zip,
    list_files,
    only_slices,
    open_entry,
)
from ich_jax.data.labels import Labels, bare_id, open_labels, read_labels
from ich_jax.plumbing.command import InputError

FOLDERS = ("stage_2_train", "stage_2_train_images", "stage_1_train", "stage_1_train_images")
KAGGLE_ROOT = "rsna-intracranial-hemorrhage-detection"
LABEL_ENDINGS = (".csv", ".csv.zip", ".csv.gz")


@dataclass(frozen=True)
class Source:
    """Labels, and where to find each slice: `members` maps image ID to a file.

    The ID is the file's name without its ending. Where several files have the same (as in `patient/series/IM000001`),
    it is the path from the source on, and `ambiguous` has the name. `notes` are sentences for the user.
    """

    labels: Labels
    members: dict[str, Member]
    ambiguous: frozenset[str]
    notes: tuple[str, ...]


def open_source(path: str | Path, labels_csv: str | Path | None = None) -> Source:
    """Find the slices and the labels of a folder or zip.

    Args:
        path: a folder or a zip with `stage_2_train/*.dcm` (or an older name, see FOLDERS) and `stage_2_train.csv`,
            at its top or inside other folders; or any other with DICOM files at any depth (see `find`) and a label
            file: `labels_csv`, the one at its top, or the one beside it with its name.
        labels_csv: labels from elsewhere.

    Raises:
        InputError: nothing of the kind is there, the zip is damaged, or the labels are (LabelsError).
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    if not path.is_dir() and not is_zip(path):
        raise InputError(f"{path}: neither a folder nor a (complete) zip file")
    listing, root = _without_root(list_files(path))
    if listing.unreadable:
        raise InputError(f"{listing.unreadable[0]}: may not be read")
    prefix = _kaggle_folder(path, listing.files)
    slices = only_slices(_below(prefix, listing))
    if not slices.files:
        what = f"; expected {FOLDERS[0]}/ID_….dcm as in the Kaggle download, or a folder of slices and --labels"
        raise InputError(f"{path}: holds no DICOM file{in_words(slices.left_out) or what}")
    members, ids, ambiguous = _by_image_id(slices.files)
    labels = read_labels(labels_csv) if labels_csv else _labels_within(path, prefix, listing.files)
    labels = _with_names_for_paths(labels, ids, root, prefix)
    if not (labels.image_class.keys() | labels.multi_type.keys()) & (members.keys() | ambiguous):
        label, file = (next(iter(names)) for names in (labels.image_class | labels.multi_type, members))
        raise InputError(f"{path}: no label names a file; labels are such as {label!r}, files such as {file!r}")
    left_out = in_words(slices.left_out).removeprefix("; ")
    return Source(labels, members, ambiguous, tuple(filter(None, (left_out, *labels.notes))))


def _without_root(listing: Listing) -> tuple[Listing, str]:
    """Names without the one folder that all are in, as zips often have it; and that folder."""
    roots = {name.partition("/")[0] if "/" in name else "" for name in listing.files if not by_name(name)}
    root = f"{next(iter(roots))}/" if len(roots) == 1 else "/"
    if root == "/" or root.rstrip("/") in FOLDERS:
        return listing, ""
    return listing._replace(files={name.removeprefix(root): file for name, file in listing.files.items()}), root


def _kaggle_folder(path: Path, names: dict[str, Member]) -> str:
    """`stage_2_train/` or the like, with the folders it is in; "" if there is none."""
    found = set()
    for name in names:
        folders = name.split("/")[:-1]
        for depth, folder in enumerate(folders, start=1):
            if folder in FOLDERS and not by_name(name):
                found.add("/".join(folders[:depth]) + "/")
                break
    best = sorted(found, key=lambda prefix: FOLDERS.index(prefix.split("/")[-2]))
    same = [prefix for prefix in best if prefix.split("/")[-2] == best[0].split("/")[-2]]
    if len(same) > 1:
        raise InputError(f"{path}: holds {' and '.join(sorted(same))}; give the one that is meant")
    return best[0] if best else ""


def _below(prefix: str, listing: Listing) -> Listing:
    """The files of a Kaggle folder, or all but the label files at the top."""
    if not prefix:
        files = {name: file for name, file in listing.files.items() if not _is_label_file(name)}
        return Listing(files, listing.left_out)
    files = {name.removeprefix(prefix): file for name, file in listing.files.items() if name.startswith(prefix)}
    outside = Counter(
        by_name(name) or f"outside {prefix}"
        for name in listing.files
        if not name.startswith(prefix) and name.lower().endswith(SLICE_ENDINGS)
    )
    return Listing(files, listing.left_out + outside)


def _is_label_file(name: str) -> bool:
    return "/" not in name and name.lower().endswith(LABEL_ENDINGS)


def _by_image_id(files: dict[str, Member]) -> tuple[dict[str, Member], dict[str, str], frozenset[str]]:
    """Image ID → file, path → image ID, and the names that several files have."""
    paths = {name: bare_id(name) for name in files}
    names = Counter(path.rpartition("/")[2] for path in paths.values())
    recurring = {path for path, count in Counter(paths.values()).items() if count > 1}
    members, ids = {}, {}
    for name, path in paths.items():
        bare = path.rpartition("/")[2]
        image_id = bare if names[bare] == 1 else name if path in recurring else path
        members[image_id] = files[name]
        if path != image_id and path not in recurring:
            ids[path] = image_id
    several = {name for name, count in names.items() if count > 1} - members.keys()
    return members, ids, frozenset(several | recurring)


def _labels_within(path: Path, prefix: str, files: dict[str, Member]) -> Labels:
    """The label file of a Kaggle folder stands beside it; any other is the only one at the top, or beside the source
    with its name."""
    if not prefix:
        top = [name for name in files if _is_label_file(name)]
        if len(top) > 1:
            raise InputError(f"{path}: holds {', '.join(top)}; say with --labels which has the labels")
        if top:
            return _read(files[top[0]])
        folder = path.resolve()
        wanted = _csv_name(folder.name if path.is_dir() else folder.stem)
        beside = [folder.with_name(wanted + ending) for ending in LABEL_ENDINGS]
        for candidate in beside:
            if candidate.is_file():
                return read_labels(candidate)
        raise InputError(f"{path}: has no label file, nor is {beside[0]} there; give one with --labels")
    parent, _, name = prefix.rstrip("/").rpartition("/")
    wanted = f"{parent}/{_csv_name(name)}".lstrip("/")
    by_lower = {name.lower(): name for name in files if name.lower().endswith(LABEL_ENDINGS)}
    for ending in LABEL_ENDINGS:
        if (wanted + ending).lower() in by_lower:
            return _read(files[by_lower[(wanted + ending).lower()]])
    raise InputError(f"{path}: holds no {wanted}.csv; give the label file with --labels")


def _csv_name(folder: str) -> str:
    return folder.removesuffix("_images")


def _read(member: Member) -> Labels:
    if not isinstance(member, Entry):
        return read_labels(member)
    try:
        with open(member.archive, "rb") as archive, open_entry(archive, member) as file:
            return open_labels(file, str(member))
    except ZIP_ERRORS as error:
        raise InputError(f"{member.archive}: damaged or unsupported zip: {error}") from None


def _with_names_for_paths(labels: Labels, ids: dict[str, str], *folders: str) -> Labels:
    """Labels may call a slice by its path where its name would do, with or without the folders that all are in."""

    def known(image_id: str) -> str:
        path = image_id.replace("\\", "/").removeprefix("./").removeprefix("/")
        for folder in folders:
            path = path.removeprefix(folder)
        return ids.get(path, path)

    if not any("/" in image_id or "\\" in image_id for image_id in labels.image_class | labels.multi_type):
        return labels
    image_class = {known(image_id): name for image_id, name in labels.image_class.items()}
    multi_type = {known(image_id): types for image_id, types in labels.multi_type.items()}
    if len(image_class | multi_type) < len(labels.image_class) + len(labels.multi_type):
        raise InputError("the labels call a slice by its path and by its name; once is enough")
    return replace(labels, image_class=image_class, multi_type=multi_type)
