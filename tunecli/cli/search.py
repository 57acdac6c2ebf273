from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import BadParameter, Exit, Option
from typer.core import TyperCommand

from tunecli.cli.shared import options
from tunecli.cli.shared.find_study import options_again
from tunecli.cli.shared.streams import console, say
from tunecli.signals import ended_by, interrupting

if TYPE_CHECKING:
    from tunecli.report.live.live import LiveView
    from tunecli.search.run import Search
    from tunecli.search.search_call import HeldSearch


_STUDY_FILES = (".yaml", ".yml")


class SearchCommand(TyperCommand):
    """A command whose `--ray` may have no value."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments, with `local` as the address where `--ray` has none."""
        return super().parse_args(ctx, [*with_addresses(args)])


def with_addresses(args: list[str]) -> Iterator[str]:
    """Yield the arguments; a study file or another option after `--ray` is no address."""
    for word, following in zip_longest(args, args[1:], fillvalue="-"):
        yield word
        if word == "--ray" and (following.startswith("-") or following.endswith(_STUDY_FILES)):
            yield "local"


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
    ray: Annotated[
        str | None,
        Option(
            metavar="[ADDRESS]",
            help="Train on the nodes of a Ray cluster: auto or HOST:PORT. Without an address, "
            "a Ray of this machine is started.",
        ),
    ] = None,
    cpus_per_job: Annotated[
        float | None,
        Option(min=0, help="With --ray: CPUs per worker process. Default: training.threads."),
    ] = None,
    gpus_per_job: Annotated[
        float | None,
        Option(
            min=0,
            help="With --ray: GPUs per worker process; 0.5 lets two share one. Default: one, if "
            "the cluster has GPUs.",
        ),
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
    from tunecli.search.workers.cluster.ray_executor import RayOptions
    from tunecli.study_file.settings.switching_off import is_none

    if as_ is not None and is_none(as_.strip()):
        raise BadParameter("--as requires a name.")
    if jobs is not None and jobs_per_gpu is not None:
        raise BadParameter("--jobs and --jobs-per-gpu are mutually exclusive.")
    if ray is not None and jobs_per_gpu is not None:
        raise BadParameter("--ray and --jobs-per-gpu are mutually exclusive. Use --gpus-per-job.")
    if ray is None and (cpus_per_job, gpus_per_job) != (None, None):
        raise BadParameter("--cpus-per-job and --gpus-per-job require --ray.")
    if (cpus_per_job, gpus_per_job) in ((0, 0), (0, None)):
        raise BadParameter("--cpus-per-job 0 requires a --gpus-per-job above 0.")
    if gpus_per_job is not None and gpus_per_job > 1 and not gpus_per_job.is_integer():
        raise BadParameter(
            f"--gpus-per-job {gpus_per_job:g} must be a whole number, or below 1 to share a GPU."
        )
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
        ray=None if ray is None else RayOptions(ray, cpus_per_job, gpus_per_job),
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
    """Search to the end or until a signal comes, and return the exit code.

    A search that fails after a signal, as without its database, has the exit code of the signal.
    """
    from tunecli.errors import TunecliError

    ending = ""
    with interrupting(searching) as received, view:
        try:
            for event in held.events(searching):
                view.show(event)
                ending = getattr(event, "ending", ending)
        except TunecliError as error:
            if received:
                error.exit_code = ended_by(received[0])
            raise
    return ended_by(received[0]) if received else int(ending == "failing")
