from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import BadParameter, Exit, Option

from tunecli.cli.shared import options
from tunecli.cli.shared.find_study import options_again
from tunecli.cli.shared.streams import console, say
from tunecli.signals import ended_by, interrupting

if TYPE_CHECKING:
    from tunecli.report.live.live import LiveView
    from tunecli.search.run import Search
    from tunecli.search.search_call import HeldSearch


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
            help="Number of worker processes, at most search.parallel. Default: one per visible "
            "GPU; without GPUs, the number of cores divided by training.threads.",
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
        float, Option(min=0, help="On interruption: seconds to wait for trials to be saved.")
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
    """Search for the best configuration, or resume a search.

    Example: tunecli search studies/digits.yaml --trials 30
    """
    from tunecli.search.events.trackers.destination import Destination
    from tunecli.search.search_call import SearchCall
    from tunecli.study_file.settings.switching_off import is_none

    if as_ is not None and is_none(as_.strip()):
        raise BadParameter("--as requires a name.")
    if jobs is not None and jobs_per_gpu is not None:
        raise BadParameter("--jobs and --jobs-per-gpu are mutually exclusive.")
    call = SearchCall(
        file=file,
        runs=runs,
        storage=storage,
        overrides=set_ or [],
        name=as_,
        trials=trials,
        timeout=timeout,
        jobs=jobs,
        jobs_per_gpu=jobs_per_gpu,
        code=code or [],
        grace=grace,
        log=[Destination.parse(text) for text in log or []],
        restarts=restart,
    )
    with call.held(say) as held:
        if not quiet:
            say(f"{held.study.name}: starting the workers, reading the data …")
        searching = held.begin()

        from tunecli.report.live.live import LiveView

        view = LiveView(console(), quiet=quiet, options=options_again(runs, storage))
        code_of_exit = _run(held, searching, view)
    if code_of_exit:
        raise Exit(code_of_exit)


def _run(held: "HeldSearch", searching: "Search", view: "LiveView") -> int:
    """Search to the end or until a signal comes, and return the exit code."""
    ending = ""
    with interrupting(searching) as received, view:
        for event in held.events(searching):
            view.show(event)
            ending = getattr(event, "ending", ending)
    return ended_by(received[0]) if received else int(ending == "failing")
