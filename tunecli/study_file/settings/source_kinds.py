"""The kinds of `data.source`, and the settings that apply to each.

The name alone decides the kind, before anything is read: a name without `/` and `.` is always a
data set, never a folder, so a study file means the same in every folder.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from os.path import isdir, isfile  # which accept any string as a path
from pathlib import Path

from tunecli.study_file.settings.setting_types import OnlyFor, SourceKind, mark
from tunecli.study_file.settings.settings import DataSettings, Task, ValidationSettings
from tunecli.study_file.settings.torchvision_splits import SETS
from tunecli.study_file.text.suggestions import closest, did_you_mean, listed

BUNDLED: dict[str, Task] = {
    "breast_cancer": "classification",
    "diabetes": "regression",
    "digits": "classification",
    "iris": "classification",
    "wine": "classification",
}
"""The data sets that come with scikit-learn, with their tasks.

The task decides the loss, the metric and the direction before any data is read.
"""
TABLES = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".parquet", ".jsonl", ".jsonl.gz")
SPREADSHEETS = (".xlsx", ".xls", ".xlsm", ".ods")
ARRAYS = (".npz", ".npy", ".pt")
TEXT_FILES = (".txt",)
PICTURE_FILES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".avif", ".heic"),
    *(".bmp", ".dib", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm"),
)
"""Suffixes of picture files in class folders; other files are left out."""
TORCHVISION = tuple(SETS)

NO_SOURCE = "none"
"""The source of a study whose own training loads its data."""

CODE_NAME = re.compile(
    r"(?P<place>[^\s\0:{}\[\],'\"]+\.py|[A-Za-z_]\w*(?:\.\w+)*):(?P<name>[A-Za-z_]\w*)"
)
"""Pattern of the name of the user's own code."""

_KINDS: dict[SourceKind, tuple[str, Callable[[str], object]]] = {
    "table": ("a table", lambda source: source.lower().endswith(TABLES)),
    "arrays": ("a file of arrays", lambda source: source.lower().endswith(ARRAYS)),
    "corpus": ("a text file or folder", lambda source: source.lower().endswith(TEXT_FILES)),
    "code": ("a function of your own", CODE_NAME.fullmatch),
    "pictures": ("a folder of pictures", lambda source: "/" in source or "." in source),
    "torchvision": ("a torchvision data set", SETS.__contains__),
    "bundled": ("a bundled data set", BUNDLED.__contains__),
}
"""Each kind in words, and whether a source has such a name; the first kind that fits counts."""


def kind_of(source: str) -> SourceKind | None:
    """Return the kind of a source by its name; None for an unknown name."""
    return next((kind for kind, (_, has_name) in _KINDS.items() if has_name(source)), None)


def kind_of_data(data: DataSettings) -> SourceKind | None:
    """Return the kind of a study's source: a folder contains the text of a language model."""
    kind = kind_of(data.source)
    is_corpus = kind == "pictures" and data.task == "language_modeling"
    return "corpus" if is_corpus else kind


def task_of(data: DataSettings) -> Task | None:
    """Return the task, if it is known before the data is read."""
    if data.task is not None:
        return data.task
    if data.source in BUNDLED:
        return BUNDLED[data.source]
    is_pictures = kind_of(data.source) in ("pictures", "torchvision")
    return "classification" if is_pictures else BUNDLED.get(closest(data.source, BUNDLED) or "")


def target_columns(data: DataSettings) -> list[str]:
    """Return the columns to predict: the target, or the targets."""
    return [data.target] if data.target is not None else data.targets


def unknown_source(source: str, folder: Path | None) -> str:
    """Return the message for a name that `kind_of` does not know."""
    known = (*BUNDLED, *TORCHVISION)
    hint = did_you_mean(source, known)
    if folder is not None and isdir(folder / source):
        hint = f" To use the folder of that name, write {source}/."
    files = "Write files with their suffix and folders with a `/`: train.csv, pictures/."
    return f"unknown data set {source!r}.{hint or f' Valid names are {listed(known)}. {files}'}"


def misplaced(
    kind: SourceKind, data: DataSettings, validation: ValidationSettings
) -> list[tuple[tuple[str, ...], str]]:
    """Return (path, message) of every setting that does not apply to this kind of source."""
    mistakes: list[tuple[tuple[str, ...], str]] = []
    for section, settings in (("data", data), ("validation", validation)):
        for name, field in type(settings).model_fields.items():
            only = mark(field, OnlyFor)
            if only and kind not in only.kinds and getattr(settings, name) != field.default:
                belongs = " or ".join(_KINDS[k][0] for k in only.kinds)
                message = (
                    f"applies only to {belongs}, but the source is {_KINDS[kind][0]}. Remove it."
                )
                mistakes.append(((section, name), message))
    if kind == "table" and not target_columns(data) and data.task != "language_modeling":
        message = "required for a table, but missing. Write target: COLUMN, the column to predict."
        mistakes.append((("data", "target"), message))
    if kind in ("bundled", "torchvision", "code") and isinstance(data.test, str):
        message = f"only files and folders can have a test file, but got {data.test!r}."
        mistakes.append((("data", "test"), f"{message} Write a share of the rows."))
    return [
        *mistakes,
        *_unclear_numbers(data),
        *_of_several_targets(data),
        *_of_language(kind, data),
    ]


def _of_several_targets(data: DataSettings) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield (path, message) of settings that contradict the number of targets."""
    if data.targets and data.target is not None:
        yield ("data", "targets"), "only one of target and targets is allowed. Remove one of them."
    elif len(data.targets) == 1:
        way = f"Write target: {data.targets[0]}, or name more columns."
        yield ("data", "targets"), f"names a single column. {way}"
    if data.task == "multilabel" and not data.targets:
        message = (
            "multilabel predicts several columns of 0 and 1. Write targets: [COLUMN, COLUMN]."
        )
        yield ("data", "task"), message
    if not data.targets:
        return
    if data.task == "classification":
        rule = f"classification predicts one column, but targets names {len(data.targets)}"
        way = "Write task: multilabel if each is 0 or 1, or task: regression for numbers."
        yield ("data", "task"), f"{rule}. {way}"
    if data.positive is not None:
        message = "has no effect with several targets: metrics are averages over them. Remove it."
        yield ("data", "positive"), message


def _of_language(kind: SourceKind, data: DataSettings) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield (path, message) of what a language model lacks, and of what only it can have."""
    if data.task != "language_modeling":
        if kind == "corpus":
            message = "a text file has no targets. Write task: language_modeling."
            yield ("data", "task"), message
        for name in ("block_size", "prompt", "completion"):
            if getattr(data, name) is not None:
                message = "applies only to language models. Write task: language_modeling."
                yield ("data", name), message
        return
    if kind not in ("table", "corpus"):
        rule = "language_modeling needs text"
        yield (
            ("data", "task"),
            f"{rule}, but the source is {_KINDS[kind][0]}. Use .txt files or a table.",
        )
    for name in ("target", "targets", "weights", "positive"):
        if getattr(data, name) not in (None, []):
            message = "has no effect on a language model, which predicts tokens. Remove it."
            yield ("data", name), message
    if kind == "table":
        yield from _documents_of_table(data)


def _documents_of_table(data: DataSettings) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield (path, message) of columns that leave open what a document is."""
    if data.text and (data.prompt or data.completion):
        other = "prompt" if data.prompt else "completion"
        message = f"a document is a text, or a prompt and a completion. Remove {other} or text."
        yield ("data", other), message
    elif data.prompt and not data.completion:
        yield ("data", "prompt"), "requires completion: COLUMN, the text to predict after it."
    elif not data.text and not data.completion:
        message = "a language model needs a column of text. Write text: COLUMN."
        yield ("data", "text"), message


def _unclear_numbers(data: DataSettings) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield (path, message) of settings that make the form of numbers ambiguous."""
    if data.thousands == data.decimal:
        other = "," if data.decimal == "." else "."
        message = f"{data.thousands!r} is already the decimal sign. Also write decimal: {other!r}."
        yield ("data", "thousands"), message
    for unit in data.units:
        if not unit.strip() or any(c.isdigit() or c in "+-.,_'" for c in unit):
            rule = "must be strings such as % or $, without digits and without + - . , _ '"
            yield ("data", "units"), f"{rule}, but got {unit!r}."


def picture_folder(path: str, source: str, folder: Path) -> Path:
    """Return a folder next to the class folders: in the source, or else next to the study file.

    Args:
        path: the path written for validation or test, such as `val`.
        folder: the folder of the study file.
    """
    inside = folder / source / path
    return inside if isdir(inside) else folder / path


def text_files(folder: Path) -> Iterator[Path]:
    """Yield the text files in a folder and below it, without hidden ones, in any order."""
    for path in folder.rglob("*"):
        is_hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix.lower() in TEXT_FILES and not is_hidden and path.is_file():
            yield path


def missing_file(path: str, folder: Path, kind: SourceKind) -> str | None:
    """Return the message for a path that is missing or of another kind; None if it is valid.

    Args:
        folder: the folder that paths are relative to.
    """
    full = folder / path
    if kind == "corpus" and isdir(full):
        if any(text_files(full)):
            return None
        return f"{path!r} contains no text files. Their names end in {listed(TEXT_FILES)}."
    if kind == "pictures":
        if isdir(full):
            return None
        if isfile(full):
            known = listed([*TABLES, *ARRAYS], last="or")
            way = f"Use a file that ends with {known}, or a folder"
            if full.suffix.lower() in SPREADSHEETS:
                way = "Save the sheet as .csv"
            return f"{path!r} is a file of an unknown type. {way}."
    elif isfile(full):
        return None
    elif isdir(full):
        return f"{path!r} is a folder, but a file is required. Name the file inside it."
    suffix = Path(path).suffix.lower()
    is_folder = kind == "pictures" and (path.endswith("/") or not suffix)
    what = "folder" if is_folder else "file" if kind != "pictures" else "file or folder"
    hint = _nearest(path, folder)
    if suffix in SPREADSHEETS:
        hint = " Spreadsheets are not supported: save the sheet as .csv."
    return f"{what} {path!r} does not exist (looked for at {full.absolute()}).{hint}"


def _nearest(path: str, folder: Path) -> str:
    """Return a suggestion from the deepest existing folder of the path."""
    parent = Path(path).parent
    name = Path(path).name
    while not isdir(folder / parent) and parent != parent.parent:
        parent, name = parent.parent, parent.name
    try:
        names = sorted(entry.name for entry in (folder / parent).iterdir())[:1000]
    except OSError:
        return ""
    match = closest(name, [n for n in names if not n.startswith(".")])
    if match is not None:
        return f" Did you mean `{(parent / match).as_posix()}`?"
    return " Paths are relative to the study file's folder."
