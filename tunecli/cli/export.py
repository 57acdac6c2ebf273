from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from typer import BadParameter, Option

from tunecli.cli.shared.options import CodeOption, ModelArgument, RunsOption
from tunecli.cli.shared.streams import print_result
from tunecli.errors import OutputError, TunecliError
from tunecli.study_file.text.counts import count

if TYPE_CHECKING:
    from tunecli.model_folder.exports.exporting import Exported


def export(
    model: ModelArgument,
    to: Annotated[
        Literal["onnx", "pt2", "safetensors", "transformers"],
        Option(
            help="ONNX, pt2 (torch.export), the weights alone as safetensors, or a folder for "
            "transformers or peft."
        ),
    ],
    output: Annotated[
        Path | None,
        Option(
            "--output", "-o", help="File or folder to write. Default: next to the model folder."
        ),
    ] = None,
    data: Annotated[
        str | None,
        Option(
            help="Rows on which to compare the exported file with the model. "
            "Default: the study's data.source."
        ),
    ] = None,
    int8: Annotated[
        bool,
        Option(
            "--int8",
            help="Write an int8-quantized ONNX file, if its score drops by no more than "
            "--tolerance.",
        ),
    ] = False,
    tolerance: Annotated[
        float, Option(min=0, help="With --int8: allowed relative loss of score; 0.01 is 1 %.")
    ] = 0.01,
    code: CodeOption = None,
    runs: RunsOption = Path("runs"),
) -> None:
    """Export a model for other programs.

    The file is written only if its predictions match the model's.

    Example: tunecli export digits --to onnx -o digits.onnx
    """
    from tunecli.data.rows.workspace import Workspace
    from tunecli.model_folder.exports import exporting
    from tunecli.model_folder.find import model_at
    from tunecli.model_folder.format.loading import load_with
    from tunecli.study_file.catalogue.allowed_code import AllowedCode

    if int8 and to != "onnx":
        raise BadParameter("--int8 requires --to onnx.")
    here, path = Path().absolute(), model_at(model, runs)
    allowed = AllowedCode.of(here, code or [])
    searched = Workspace(_searched_from(path, runs, here), runs.absolute() / ".cache", allowed)
    workspace = searched if data is None else replace(searched, folder=here)
    exporting.refuse_user_code(path, to)
    used = load_with(path, workspace, "cpu")
    target = output or _beside(path, to, "folder" if to == "transformers" else "file")
    source = data or used.facts.config.data.source
    if to == "transformers":
        from tunecli.model_folder.exports.transformers_folder import export_transformers

        difference = export_transformers(used, target, source, searched.folder)
        print_result(f"{target}: differs from the model by at most {difference:.1g}")
        return
    if not int8:
        print_result("\n".join(_lines(exporting.export_model(used, to, target, source))))
        return

    from tunecli.data.fold_store import FoldStore
    from tunecli.model_folder.exports.int8 import export_int8, words

    config = used.facts.config
    store = FoldStore(config.data, config.validation, searched)
    exported, changed = export_int8(used, store, target, source, tolerance)
    print_result("\n".join([*_lines(exported), *words(changed)]))


def _beside(model: Path, ending: str, kind: Literal["file", "folder"]) -> Path:
    """Return the default file or folder to write; no link is followed to it.

    Raises:
        OutputError: its name leads somewhere else.
    """
    from tunecli.files.own import NotOwnError, refuse_foreign

    folder = model if model.name else model.resolve()
    target = folder.with_name(f"{folder.name}.{ending}")
    try:
        refuse_foreign(target, kind)
    except NotOwnError as error:
        raise OutputError(target, error) from None
    return target


def _searched_from(model: Path, runs: Path, here: Path) -> Path:
    """Return the folder of the study file, to which its paths are relative; else `here`."""
    from tunecli.cli.shared.find_study import record_at
    from tunecli.model_folder.find import origin

    try:
        runs, study, _ = origin(model, runs)
        file = record_at(study, runs, None)[1].file
    except TunecliError:  # its study is elsewhere, or no longer exists
        return here
    return Path(file).absolute().parent if file else here


def _lines(exported: "Exported") -> list[str]:
    lines = [f"{exported.path}: {exported.path.stat().st_size:,} bytes"]
    if exported.n_rows:
        rows = f"on {count(exported.n_rows, 'row')}"
        lines.append(f"differs from the model by at most {exported.difference:.1g} {rows}")
    if exported.tokenizer is not None:
        lines.append(f"the network takes tokens; {exported.tokenizer} makes them from texts")
    elif exported.left_out:
        many = exported.n_networks > 1
        each = f", those of all {exported.n_networks} networks concatenated" if many else ""
        lines.append(
            f"the file does not contain {exported.left_out}: it takes preprocessed features{each}"
        )
    return lines
