"""The commands: parse, one call, print, exit code. Everything heavy is imported inside them."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunecli import __version__
from tunecli.errors import StudyNotFoundError, TunecliError
from tunecli.signals import EXIT_CODES, interrupting

if TYPE_CHECKING:
    from rich.console import Console

    from tunecli.search.place import Place
    from tunecli.study_file.study_file import StudyFile
    from tunecli.study_file.user_code import AllowedCode

app = typer.Typer(
    name="tunecli",
    help="Tune PyTorch models from one YAML study file: exact, resumable, cross-validated.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

FileArgument = Annotated[Path, typer.Argument(help="The study file.", show_default=False)]
StudyArgument = Annotated[
    str, typer.Argument(help="A study's name, or its study file.", show_default=False)
]
RunsOption = Annotated[
    Path, typer.Option("--runs", envvar="TUNECLI_RUNS", help="Folder of all studies.")
]
StorageOption = Annotated[
    str | None,
    typer.Option(
        "--storage",
        envvar="TUNECLI_STORAGE",
        help="Another database, as an SQLAlchemy URL that Optuna takes.",
        show_default=False,
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", help="Override a setting, as training.epochs=5. Repeatable."),
]
CodeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--code",
        help="Code that the study file may run: a .py file, or an installed package. Repeatable.",
        show_default=False,
    ),
]


def main() -> None:
    """The console script: a user's mistake is one message and an exit code, never a traceback."""
    try:
        app()
    except TunecliError as error:
        from tunecli.report.wording import plain_lines  # it may quote a file of somebody else's

        text = plain_lines(str(error))
        _console().print(text, markup=False, highlight=False, style="red", soft_wrap=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # `tunecli report … | head`
        sys.stderr.close()
        sys.exit(1)


@app.callback(invoke_without_command=True)
def _options(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        print(__version__)
        raise typer.Exit


@app.command()
def search(
    file: FileArgument,
    trials: Annotated[
        int | None, typer.Option(min=1, help="Total of trials, instead of the file's.")
    ] = None,
    timeout: Annotated[
        str | None, typer.Option(help="Start no trial after this long, as 90m or 2h.")
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="Worker processes. Default: one a GPU, else one a core."),
    ] = None,
    jobs_per_gpu: Annotated[
        int | None,
        typer.Option(min=1, help="Worker processes for each visible GPU, instead of one."),
    ] = None,
    set_: SetOption = None,
    code: CodeOption = None,
    as_: Annotated[
        str | None, typer.Option("--as", help="Search under another name, as a new study.")
    ] = None,
    grace: Annotated[
        float, typer.Option(min=0, help="Seconds to save running trials when interrupted.")
    ] = 2.0,
    restart: Annotated[
        bool, typer.Option("--restart", help="Move the study to runs/.trash and begin anew.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show only how it ended.")] = False,
    runs: RunsOption = Path("runs"),
    storage: StorageOption = None,
) -> None:
    """Search for the best configuration, or go on with an interrupted search.

    Example: tunecli search studies/digits.yaml --trials 30
    """
    from tunecli.study_file.naming import early_name

    if as_ is not None and not as_.strip():
        raise typer.BadParameter("--as needs a name.")
    if jobs is not None and jobs_per_gpu is not None:
        raise typer.BadParameter("--jobs and --jobs-per-gpu exclude each other.")
    overrides = _named(set_ or [], as_)
    name = early_name(file, overrides) or _load(file, overrides).name
    place = _place(name, runs, storage)
    with place.held():  # before anything that takes time: a second search is told at once
        allowed = _allowed(file, code)
        known = allowed.and_also(_remembered(file, place))
        study = _read_study(file, set_, as_, place, known, restart=restart)
        budget = [f"search.trials={trials}"] if trials else []
        budget += [f"search.timeout={timeout}"] if timeout else []
        limits = _load(file, [*study.overrides, *budget]).search
        if not quiet:
            _say(f"{study.name}: reading the data …")

        from tunecli.search.local import start_server

        start_server()  # loads torch while this process loads the rest

        from tunecli.report.live import LiveView
        from tunecli.search.run import Search

        searching = Search(study, place, limits, jobs, grace, jobs_per_gpu)
        if restart:  # only now: the study file has been accepted
            _set_aside(place)
        _remember(place, allowed)
        view = LiveView(_console(), quiet=quiet, options=_options_again(runs, storage))
        ending = ""
        with interrupting(searching) as received, view:
            for event in searching.events():
                view.show(event)
                ending = getattr(event, "ending", ending)
    if received:
        raise typer.Exit(EXIT_CODES[received[0]])
    if ending == "failing":
        raise typer.Exit(1)


@app.command()
def report(
    study: Annotated[
        str | None,
        typer.Argument(
            help="A study's name or study file; without it, all studies.", show_default=False
        ),
    ] = None,
    trial: Annotated[int | None, typer.Option(help="One trial in detail.")] = None,
    top: Annotated[int, typer.Option(min=1, help="Trials in the table.")] = 10,
    json: Annotated[bool, typer.Option("--json", help="Everything, for programs.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="One row a trial.")] = False,
    runs: RunsOption = Path("runs"),
    storage: StorageOption = None,
) -> None:
    """Show what a study has found; while it runs, too.

    Example: tunecli report digits
    """
    from tunecli.report import best, export, listing, listing_table, one_trial, ranking, terminal
    from tunecli.report.records import read_study
    from tunecli.report.wording import plain_lines

    if json and csv:
        raise typer.BadParameter("--json and --csv exclude each other.")
    if study is None and (json or csv or trial is not None):
        raise typer.BadParameter("--json, --csv and --trial need a study.")
    out = _console(stderr=False)
    if study is None:
        found = listing.studies_in(_checked(storage)) if storage else listing.list_studies(runs)
        where = _shown(storage) if storage else str(runs)
        out.print(listing_table.render_listing(found, where))
        return
    place = _find(study, runs, storage)
    record = read_study(place.url, place.name)
    if trial is not None and (json or csv):
        record = replace(record, trials=(record.trial(trial),))
    if json:
        typer.echo(export.to_json(record))
    elif csv:
        table = export.to_csv(record)  # exact for programs, harmless for a terminal
        typer.echo(plain_lines(table) if sys.stdout.isatty() else table, nl=False)
    elif trial is not None:
        file = best.study_file_of(record, record.trial(trial))
        out.print(one_trial.render_trial(record, trial, file))
    else:
        winner = ranking.best_trial(record)
        file = best.study_file_of(record, winner) if winner else ""
        for part in terminal.study_parts(record, top, file, _options_again(runs, storage)):
            out.print(part)


@app.command()
def check(
    file: FileArgument,
    set_: SetOption = None,
    code: CodeOption = None,
    runs: RunsOption = Path("runs"),
) -> None:
    """Check a study file: its search space, its data, and two batches of every pair of choices.

    Example: tunecli check studies/digits.yaml
    """
    from tunecli.report import check_lines
    from tunecli.search.constructible import refuse_what_optuna_refuses
    from tunecli.study_file.study_file import load

    allowed = _allowed(file, code)
    study = load(file, set_ or [], allowed)
    refuse_what_optuna_refuses(study)
    out = _console(stderr=False)
    out.print(check_lines.space(study))

    from tunecli.data.workspace import Workspace
    from tunecli.search.rehearsing import StudyCheck
    from tunecli.search.samplers import drawn_independently

    with _console().status("reading the data …") as status:
        workspace = Workspace(allowed.folder, runs.absolute() / ".cache", allowed)
        checking = StudyCheck(study, workspace)
        rehearsed = []
        for point, rehearsal in checking.rehearsals():
            rehearsed.append((point, rehearsal))
            status.update(f"rehearsing: {len(rehearsed)} of {len(checking.points)}")
    found = checking.conclude(rehearsed)
    out.print(check_lines.rehearsal(found, study.gates))
    independent = drawn_independently(study.search.sampler.name, study.parameters)
    max_time = study.training.max_time
    out.print(check_lines.remarks(study.search, independent, found.n_jobs, max_time))
    if found.mistakes:
        raise typer.Exit(2)


@app.command()
def init(
    data: Annotated[
        str,
        typer.Argument(
            help="A file, a folder, a set's name, or my_data.py:function.", show_default=False
        ),
    ],
    target: Annotated[
        str | None, typer.Option(help="The column of a table to predict.", show_default=False)
    ] = None,
    code: CodeOption = None,
) -> None:
    """Write a commented first study of some data, ready to run, into the current folder.

    Example: tunecli init train.csv --target price
    """
    from tunecli.data.first_look import first_look
    from tunecli.data.user_code import permit
    from tunecli.data.workspace import Workspace
    from tunecli.study_file.starter import starter, study_name
    from tunecli.study_file.user_code import AllowedCode

    file = Path(f"{study_name(data)}.yaml")
    if file.exists():
        raise typer.BadParameter(f"{file} is there already. Rename it, or run init elsewhere.")
    allowed = AllowedCode.of(Path.cwd(), code or [])
    permit(allowed)
    look = first_look(data, target, Workspace(Path.cwd(), code=allowed))
    options = "".join(f" --code {option}" for option in code or [])
    with file.open("x", encoding="utf-8") as written:
        written.write(starter(look, str(file), options))
    _say(f"{file} was written. Look at it, then: tunecli search {file}{options}")


@app.command()
def schema() -> None:
    """Print the JSON Schema of study files, for editors.

    Example: tunecli schema > studies/study.schema.json
    """
    import json

    from tunecli.study_file.schema import json_schema

    typer.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))


@app.command()
def remove(
    study: StudyArgument,
    runs: RunsOption = Path("runs"),
    storage: StorageOption = None,
) -> None:
    """Remove a study: its folder goes to runs/.trash; from another database it is deleted.

    Example: tunecli remove digits
    """
    place = _find(study, runs, storage)
    with place.held():
        found = _set_aside(place)
    if not found:
        where = _shown(storage) if storage else place.runs.resolve()
        raise StudyNotFoundError(f"There is no study {place.name} in {where}.")


def _set_aside(place: Place) -> bool:
    """Of a place that is held, move what is there to the trash, and delete rows elsewhere.

    Returns:
        whether there was anything of it.
    """
    found = not place.is_empty
    if place.storage is not None:
        from tunecli.search.database import StudyDatabase

        if StudyDatabase.delete(place.url, place.name):
            found = True
            _say(f"Study {place.name} was deleted from {_shown(place.url)}.")
    if not place.is_empty:
        _say(f"Study {place.name} was moved to {place.move_to_trash()}.")
    return found


def _read_study(
    file: Path,
    set_: list[str] | None,
    as_: str | None,
    place: Place,
    code: AllowedCode,
    *,
    restart: bool,
) -> StudyFile:
    """The study file with its overrides: those given, or else those of the last call."""
    study = _load(file, _named(set_ or [], as_), code)
    if restart or (place.storage is None and place.is_empty):
        return study
    from tunecli.report.records import newest_overrides

    before = newest_overrides(place.url, study.name)  # looks at the database, before all else
    kept = _named(before, as_)
    if set_ or kept == [*study.overrides]:
        return study
    told = shlex.join(kept[:-1] if as_ else kept)
    _say(f"With --set {ascii(told)[1:-1]}, as before; another --set replaces it.")
    return _load(file, kept, code)


def _load(file: Path, overrides: Sequence[str], code: AllowedCode | None = None) -> StudyFile:
    from tunecli.study_file.study_file import load

    return load(file, overrides, code)


def _allowed(file: Path, options: list[str] | None) -> AllowedCode:
    """What `--code` allows."""
    from tunecli.study_file.user_code import AllowedCode

    return AllowedCode.of(file.absolute().parent, options or [])


def _remembered(file: Path, place: Place) -> AllowedCode:
    """What this user allowed for this study before, and is unchanged."""
    from tunecli.search.permissions import remembered
    from tunecli.study_file.user_code import places_in

    text = file.read_bytes().decode(errors="replace") if file.is_file() else ""
    return remembered(_identity(place), file.absolute().parent, places_in(text))


def _remember(place: Place, code: AllowedCode) -> None:
    from tunecli.search.permissions import remember

    remember(_identity(place), code)


def _identity(place: Place) -> str:
    return f"{place.storage or place.folder.resolve()} {place.name}"


def _named(overrides: Iterable[str], as_: str | None) -> list[str]:
    """The overrides, with the name of `--as` in place of another one."""
    if not as_:
        return [*overrides]
    others = [text for text in overrides if text.partition("=")[0].strip() != "study"]
    return [*others, f"study={as_}"]


def _find(study: str, runs: Path, storage: str | None) -> Place:
    """A study by its name or by its study file."""
    from tunecli.study_file.naming import STUDY_NAME

    if study.endswith((".yaml", ".yml")) or "/" in study:
        from tunecli.study_file.study_file import load

        return _place(load(Path(study)).name, runs, storage)
    if not STUDY_NAME.match(study):  # `..` is a folder, too
        raise StudyNotFoundError(
            f"{study!r} is no study's name: that has letters, digits, `-`, `_` and `.`, and does "
            "not begin with a dot. `tunecli report` lists the studies."
        )
    return _place(study, runs, storage)


def _place(name: str, runs: Path, storage: str | None) -> Place:
    from tunecli.search.place import Place

    return Place(runs, name, storage and _checked(storage))


def _checked(storage: str) -> str:
    from tunecli.search.urls import refuse_unusable

    refuse_unusable(storage)
    return storage


def _shown(url: str) -> str:
    from tunecli.search.urls import shown

    return shown(url)


def _options_again(runs: Path, storage: str | None) -> str:
    """What the next command needs to find the same study."""
    words = ["--runs", str(runs)] if runs != Path("runs") else []
    if storage:
        from tunecli.search.urls import without_password

        words += ["--storage", without_password(storage)]
    return shlex.join(words)


def _console(*, stderr: bool = True) -> Console:
    from rich.console import Console

    return Console(stderr=stderr)


def _say(text: str) -> None:
    """One plain sentence on stderr."""
    typer.echo(text, err=True)
