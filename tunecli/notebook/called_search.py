"""Search from Python, as the command line does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from pathlib import Path

from yaml import YAMLError

from tunecli.database.records import read_study
from tunecli.errors import SearchFailedError, UserError
from tunecli.notebook.loaded_study import LoadedStudy
from tunecli.report.live.search_lines import how_it_ended
from tunecli.search.events.events import Notice, SearchEnded, SearchEvent, SearchStarted
from tunecli.search.search_call import HeldSearch, SearchCall
from tunecli.signals import ending_at_ctrl_c
from tunecli.study_file.settings.switching_off import is_none
from tunecli.study_file.text.dump import flow


def search_study(
    path: str | Path,
    trials: int | None = None,
    jobs: int | None = None,
    *,
    runs: str | Path = "runs",
    set: Mapping[str, object] | Iterable[str] = (),
    name: str | None = None,
    timeout: str | None = None,
    code: Iterable[str] = (),
    restart: bool = False,
    storage: str | None = None,
    on_event: Callable[[SearchEvent], object] | None = None,
) -> LoadedStudy:
    """Search, or resume an interrupted search, and return the study; nothing is printed.

    The arguments are the options of `tunecli search`. Ctrl-C saves the running trials and raises
    KeyboardInterrupt; a second one does not wait for them. Either way the next call resumes.

    Args:
        path: the study file.
        trials: total number of trials, in place of the study file's.
        jobs: number of worker processes; by default one per GPU, or as many as the cores allow.
        runs: the folder of all studies.
        set: settings that override the study file: `{"training.epochs": 5}`, or `path=value`
            texts. Without any, those of the last call.
        name: search as a separate study with this name.
        timeout: start no trial after this time, e.g. `90m`.
        code: the user's own files and packages that the study file may run.
        restart: start over; the old study moves to `runs/.trash`.
        storage: SQLAlchemy URL of another study database.
        on_event: called with each event of `tunecli.search.events.events`. What it raises ends
            the search.

    Raises:
        SearchFailedError: no trial is usable.
        TunecliError: the search cannot begin, as on the command line.
        KeyboardInterrupt: Ctrl-C.
    """
    tell = on_event or _ignore
    call = SearchCall(
        file=Path(path),
        runs=Path(runs),
        storage=storage,
        overrides=_overrides(set),
        name=_checked_name(name),
        trials=_counted("trials", trials),
        timeout=timeout,
        jobs=_counted("jobs", jobs),
        code=_texts(code),
        restarts=restart,
    )
    with call.held(lambda text: tell(Notice(text))) as held:
        _search(held, tell)
        return LoadedStudy.of(read_study(held.study_folder.url, held.study.name))


def _search(held: HeldSearch, tell: Callable[[SearchEvent], object]) -> None:
    """Search to the end.

    Raises:
        KeyboardInterrupt: Ctrl-C ended it; what was running is saved.
        SearchFailedError: no trial is usable.
    """
    started, ended = None, None
    searching = held.begin()
    with ending_at_ctrl_c(searching) as received, closing(held.events(searching)) as events:
        for event in events:
            started = event if isinstance(event, SearchStarted) else started
            ended = event if isinstance(event, SearchEnded) else ended
            tell(event)
    if received:
        raise KeyboardInterrupt
    if started is not None and ended is not None and ended.ending == "failing":
        raise SearchFailedError(
            f"{how_it_ended(ended, started)} `tunecli report {started.study}` shows the trials."
        )


def _ignore(_: SearchEvent) -> None:
    """Take an event that nobody asked for."""


def _overrides(given: Mapping[str, object] | Iterable[str]) -> list[str]:
    """Return `path=value` texts."""
    if isinstance(given, Mapping):
        return [f"{path}={_written(path, value)}" for path, value in given.items()]
    return _texts(given)


def _written(path: str, value: object) -> str:
    """Return a value as YAML, numpy's numbers too.

    Raises:
        UserError: it is no plain value.
    """
    try:
        return flow(value.item() if hasattr(value, "item") else value)
    except YAMLError:
        raise UserError(
            f"set: {path}: expected a number, a text, a list or a mapping, but got {value!r}."
        ) from None


def _texts(given: Iterable[str]) -> list[str]:
    """Return a list, also of a single text."""
    return [given] if isinstance(given, str) else [*given]


def _counted(argument: str, given: int | None) -> int | None:
    """Return a number of trials or workers.

    Raises:
        UserError: it is not a whole number from 1.
    """
    if given is None or (isinstance(given, int) and not isinstance(given, bool) and given >= 1):
        return given
    raise UserError(f"{argument}: expected a whole number of at least 1, but got {given!r}.")


def _checked_name(name: str | None) -> str | None:
    """Return the name of a separate study.

    Raises:
        UserError: it means no name.
    """
    if name is not None and is_none(name.strip()):
        raise UserError(f"name: expected a study's name, but got {name!r}.")
    return name
