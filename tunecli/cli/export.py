from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tunecli.cli.options import CodeOption, RunsOption

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
    here = Path().absolute()
    workspace = Workspace(here, runs.absolute() / ".cache", AllowedCode.of(here, code or []))
    path = model_at(model, runs)
    used = load_with(path, workspace, "cpu")
    target = output or path.with_name(f"{path.name}.{to}")
    source = data or used.facts.config.data.source
    if not int8:
        typer.echo("\n".join(_lines(exporting.export(used, to, target, source))))
        return

    from tunecli.data.fold_store import FoldStore
    from tunecli.model_folder.int8 import export_int8, words

    config = used.facts.config
    store = FoldStore(config.data, config.validation, workspace)
    found, changed = export_int8(used, store, target, source, tolerance)
    typer.echo("\n".join([*_lines(found), *words(changed)]))


def _lines(found: Exported) -> list[str]:
    lines = [f"{found.path}: {found.path.stat().st_size:,} bytes"]
    if found.n_rows:
        rows = f"on {found.n_rows:,} rows"
        lines.append(f"differs from the model by at most {found.difference:.1g} {rows}")
    if found.left_out:
        many = found.n_networks > 1
        each = f" of each of {found.n_networks} networks, side by side" if many else ""
        lines.append(f"not in the file: {found.left_out}; it takes prepared features{each}")
    return lines
