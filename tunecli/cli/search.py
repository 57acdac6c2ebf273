from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import BadParameter, Exit, Option

from tunecli.cli.shared import options
from tunecli.cli.shared.find_study import options_again, study_folder_at
from tunecli.cli.shared.streams import console, say
from tunecli.signals import ended_by, interrupting

if TYPE_CHECKING:
    from tunecli.report.live.live import LiveView
    from tunecli.search.run import Search
    from tunecli.search.study.study_folder import StudyFolder
    from tunecli.study_file.catalogue.allowed_code import AllowedCode
    from tunecli.study_file.settings.settings import SearchSettings
    from tunecli.study_file.study_file import StudyFile


def search(
    file: options.FileArgument,
    trials: Annotated[
        int | None, Option(min=1, help="Total number of trials; overrides the study file.")
    ] = None,
    timeout: Annotated[
        str | None, Option(help="Start no more trials after this time, e.g. 90m or 2h.")
    ] = None,
    jobs: Annotated[
        int | None,
        Option(
            min=1,
            help="Number of worker processes. Default: one per visible GPU; without GPUs, one per "
            "training.threads cores. At most search.parallel.",
        ),
    ] = None,
    jobs_per_gpu: Annotated[
        int | None, Option(min=1, help="Number of worker processes per visible GPU. Default: one.")
    ] = None,
    set_: options.SetOption = None,
    code: options.CodeOption = None,
    as_: Annotated[
        str | None, Option("--as", help="Start or resume a study with this name, not the file's.")
    ] = None,
    grace: Annotated[
        float, Option(min=0, help="Seconds to wait for trials to be saved on interruption.")
    ] = 2.0,
    log: Annotated[
        list[str] | None,
        Option(
            "--log",
            help="Log each trial as a run to mlflow:URI, tensorboard:DIR or wandb:PROJECT. "
            "Repeatable.",
            show_default=False,
        ),
    ] = None,
    restart: Annotated[
        bool,
        Option(
            "--restart", help="Start over; the old study moves to runs/.trash and is not deleted."
        ),
    ] = False,
    quiet: Annotated[bool, Option("--quiet", help="Print only how the search ended.")] = False,
    runs: options.RunsOption = Path("runs"),
    storage: options.StorageOption = None,
) -> None:
    """Search for the best configuration, or resume an interrupted search.

    Example: tunecli search studies/digits.yaml --trials 30
    """
    from tunecli.search.events.trackers.tracker import Destination
    from tunecli.study_file.read.study_name import early_name
    from tunecli.study_file.settings.switching_off import is_none

    if as_ is not None and is_none(as_.strip()):
        raise BadParameter("--as requires a name.")
    if jobs is not None and jobs_per_gpu is not None:
        raise BadParameter("--jobs and --jobs-per-gpu are mutually exclusive.")
    destinations = [Destination.parse(text) for text in log or []]
    overrides = _named(set_ or [], as_)
    name = early_name(file, overrides) or _load(file, overrides).name
    study_folder = study_folder_at(name, runs, storage)
    with study_folder.held():  # before anything slow: a second search fails at once
        allowed = options.allowed_by(file, code)
        known = allowed.and_also(options.allowed_before(file, study_folder))
        study = _read_study(file, set_, as_, study_folder, known, restart=restart)
        budget = _budget(file, study, trials, timeout)
        if not quiet:
            say(f"{study.name}: reading the data …")

        from tunecli.search.workers.local import start_server

        start_server()  # loads torch while this process loads the rest

        from tunecli.report.live.live import LiveView
        from tunecli.search.run import Search

        searching = Search(
            study, study_folder, budget, jobs, grace, jobs_per_gpu, destinations, restarts=restart
        )
        options.remember_allowed(study_folder, allowed)
        view = LiveView(console(), quiet=quiet, options=options_again(runs, storage))
        code_of_exit = _run(
            searching, view, lambda files: options.remember_allowed(study_folder, known, files)
        )
    if code_of_exit:
        raise Exit(code_of_exit)


def _run(searching: Search, view: LiveView, on_code: Callable[[dict[str, str]], None]) -> int:
    """Search to the end or until a signal comes, and return the exit code.

    Args:
        on_code: called with the files of user code that were imported: content hash by path.
    """
    from tunecli.search.events.events import CodeLoaded

    ending = ""
    with interrupting(searching) as received, view:
        for event in searching.events():
            if isinstance(event, CodeLoaded):
                on_code(event.files)
            view.show(event)
            ending = getattr(event, "ending", ending)
    return ended_by(received[0]) if received else int(ending == "failing")


def _budget(
    file: Path, study: StudyFile, trials: int | None, timeout: str | None
) -> SearchSettings:
    """Return the search settings of this call: the file's, overridden by the command line."""
    given = [f"search.trials={trials}"] if trials is not None else []
    given += [f"search.timeout={timeout}"] if timeout is not None else []
    return _load(file, [*study.overrides, *given]).search


def _read_study(
    file: Path,
    set_: list[str] | None,
    as_: str | None,
    study_folder: StudyFolder,
    code: AllowedCode,
    *,
    restart: bool,
) -> StudyFile:
    """Read the study file with the given overrides, or with those of the last call."""
    study = _load(file, _named(set_ or [], as_), code)
    if restart or (study_folder.storage is None and not study_folder.has_study_files):
        return study
    from tunecli.database.records import newest_overrides

    before = newest_overrides(study_folder.url, study.name)  # checks the database, before all else
    overrides = _named(before, as_)
    if set_ or overrides == [*study.overrides]:
        return study
    values = shlex.join(overrides[:-1] if as_ else overrides)
    say(f"Keeping --set {ascii(values)[1:-1]} from the last call. Pass --set to replace it.")
    return _load(file, overrides, code)


def _load(file: Path, overrides: Sequence[str], code: AllowedCode | None = None) -> StudyFile:
    from tunecli.study_file.study_file import read_study_file

    return read_study_file(file, overrides, code)


def _named(overrides: Iterable[str], as_: str | None) -> list[str]:
    """Return the overrides, with the study's name replaced by that of `--as`."""
    if not as_:
        return [*overrides]
    others = [text for text in overrides if text.partition("=")[0].strip() != "study"]
    return [*others, f"study={as_}"]
