from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tunecli.cli.options import CodeOption, RunsOption
from tunecli.cli.streams import put
from tunecli.errors import OutputError, TunecliError
from tunecli.study_file.counts import count

if TYPE_CHECKING:
    from tunecli.model_folder.exporting import Exported


def export(
    model: Annotated[
        str, typer.Argument(help="A model folder, or a study's name.", show_default=False)
    ],
    to: Annotated[
        Literal["onnx", "pt2", "safetensors"],
        typer.Option(help="onnx, pt2 (torch.export), or the weights alone."),
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file; by default beside the model.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(help="Rows to compare on; by default the data that it was trained on."),
    ] = None,
    int8: Annotated[
        bool, typer.Option("--int8", help="ONNX that computes in 8 bits, if it scores the same.")
    ] = False,
    tolerance: Annotated[
        float, typer.Option(min=0, help="With --int8: what share of its score it may lose.")
    ] = 0.01,
    code: CodeOption = None,
    runs: RunsOption = Path("runs"),
) -> None:
    """Write a model as one file for other programs, after comparing it with the model.

    Example: tunecli export digits --to onnx -o digits.onnx
    """
    from tunecli.data.workspace import Workspace
    from tunecli.model_folder import exporting
    from tunecli.model_folder.loading import load_with
    from tunecli.model_folder.places import model_at
    from tunecli.study_file.user_code import AllowedCode

    if int8 and to != "onnx":
        raise typer.BadParameter("--int8 goes with --to onnx.")
    here, path = Path().absolute(), model_at(model, runs)
    allowed = AllowedCode.of(here, code or [])
    searched = Workspace(_searched_from(path, here), runs.absolute() / ".cache", allowed)
    workspace = searched if data is None else replace(searched, folder=here)
    used = load_with(path, workspace, "cpu")
    target = output or _beside(path, to)
    source = data or used.facts.config.data.source
    if not int8:
        put("\n".join(_lines(exporting.export(used, to, target, source))))
        return

    from tunecli.data.fold_store import FoldStore
    from tunecli.model_folder.int8 import export_int8, words

    config = used.facts.config
    store = FoldStore(config.data, config.validation, searched)
    found, changed = export_int8(used, store, target, source, tolerance)
    put("\n".join([*_lines(found), *words(changed)]))


def _beside(model: Path, ending: str) -> Path:
    """The file that the user did not name: no link is followed to it."""
    from tunecli.files.own import NotOwnError, refuse_foreign

    folder = model if model.name else model.resolve()
    target = folder.with_name(f"{folder.name}.{ending}")
    try:
        refuse_foreign(target, "file")
    except NotOwnError as error:
        raise OutputError(target, error) from None
    return target


def _searched_from(model: Path, here: Path) -> Path:
    """The folder of the study file, from which paths in it start; `here` if it is not known."""
    from tunecli.cli.places import find
    from tunecli.model_folder.places import origin
    from tunecli.report.records import read_study

    try:
        runs, study, _ = origin(model)
        place = find(study, runs, None)
        file = read_study(place.url, place.name).file
    except TunecliError:  # it was moved, or its study is gone
        return here
    return Path(file).absolute().parent if file else here


def _lines(found: Exported) -> list[str]:
    lines = [f"{found.path}: {found.path.stat().st_size:,} bytes"]
    if found.n_rows:
        rows = f"on {count(found.n_rows, 'row')}"
        lines.append(f"differs from the model by at most {found.difference:.1g} {rows}")
    if found.left_out:
        many = found.n_networks > 1
        each = f" of each of {found.n_networks} networks, side by side" if many else ""
        lines.append(f"not in the file: {found.left_out}; it takes prepared features{each}")
    return lines
