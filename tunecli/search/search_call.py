"""Prepare one call of a search, the same from the command line as from Python.

Little is imported until the study is held and read, so that mistakes are reported at once.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tunecli.search.study.named_study import study_folder_at
from tunecli.search.study.permissions import allowed_before, remember_allowed
from tunecli.search.study.study_folder import StudyFolder
from tunecli.study_file.catalogue.allowed_code import AllowedCode
from tunecli.study_file.read.study_name import early_name
from tunecli.study_file.settings.search_settings import SearchSettings
from tunecli.study_file.study_file import StudyFile, read_study_file

if TYPE_CHECKING:
    from tunecli.search.events.events import SearchEvent
    from tunecli.search.events.trackers.destination import Destination
    from tunecli.search.run import Search
    from tunecli.search.workers.cluster.ray_executor import RayOptions


@dataclass(frozen=True, kw_only=True)
class SearchCall:
    """What one call asks for, in addition to its study file.

    Attributes:
        runs: the folder of all studies; `storage` is the URL of another database, or None.
        overrides: `path=value` each; empty for those of the last call.
        name: name of the study, in place of the file's.
        trials, timeout: the budget of this call, in place of the file's.
        jobs, jobs_per_gpu: number of workers; None for as many as the machine allows.
        code: files and packages that the study file may run.
        grace: seconds that running trials have to save when the search is interrupted.
        log: trackers that mirror the trials.
        restarts: whether an existing study moves to the trash.
        ray: where workers run on a Ray cluster; None for this machine without Ray.
    """

    file: Path
    runs: Path
    storage: str | None = field(default=None, repr=False)  # with its password
    overrides: Sequence[str] = ()
    name: str | None = None
    trials: int | None = None
    timeout: str | None = None
    jobs: int | None = None
    jobs_per_gpu: int | None = None
    code: Sequence[str] = ()
    grace: float = 2.0
    log: Sequence[Destination] = ()
    restarts: bool = False
    ray: RayOptions | None = None

    @contextmanager
    def held(self, say: Callable[[str], object]) -> Iterator[HeldSearch]:
        """Hold the study, and read its file.

        Args:
            say: called with a sentence on what this call takes over from the last one.

        Raises:
            StudyBusyError: another search holds it.
            TunecliError: the study file, the code, or the place of the study cannot be used.
        """
        overrides = self._named(self.overrides)
        name = early_name(self.file, overrides) or read_study_file(self.file, overrides).name
        study_folder = study_folder_at(name, self.runs, self.storage)
        with study_folder.held():  # before anything slow: a second search fails at once
            allowed = AllowedCode.of(self.file.absolute().parent, self.code)
            known = allowed.and_also(allowed_before(self.file, study_folder))
            study = self._read(study_folder, known, say)
            yield HeldSearch(self, study, study_folder, self._budget(study), allowed, known)

    def _read(
        self, study_folder: StudyFolder, code: AllowedCode, say: Callable[[str], object]
    ) -> StudyFile:
        """Read the study file with the given overrides, or with those of the last call."""
        study = read_study_file(self.file, self._named(self.overrides), code)
        is_new = study_folder.storage is None and not study_folder.has_study_files
        if self.restarts or is_new:
            return study
        from tunecli.database.records import newest_overrides

        before = newest_overrides(study_folder.url, study.name)  # checks the database first
        overrides = self._named(before)
        if self.overrides or overrides == [*study.overrides]:
            return study
        values = shlex.join(overrides[:-1] if self.name else overrides)
        say(f"Keeping --set {ascii(values)[1:-1]} from the last call. Pass --set to replace it.")
        return read_study_file(self.file, overrides, code)

    def _named(self, overrides: Iterable[str]) -> list[str]:
        """Return the overrides, with the study's name replaced by that of this call."""
        if not self.name:
            return [*overrides]
        others = [text for text in overrides if text.partition("=")[0].strip() != "study"]
        return [*others, f"study={self.name}"]

    def _budget(self, study: StudyFile) -> SearchSettings:
        """Return the search settings of this call: the file's, overridden by its own."""
        given = [f"search.trials={self.trials}"] if self.trials is not None else []
        given += [f"search.timeout={self.timeout}"] if self.timeout is not None else []
        return read_study_file(self.file, [*study.overrides, *given]).search


@dataclass(frozen=True)
class HeldSearch:
    """A call whose study is held and whose study file was read.

    Attributes:
        budget: trials and timeout of this call.
        allowed: the code that this call allows; `known` is also what earlier calls allowed.
    """

    call: SearchCall
    study: StudyFile
    study_folder: StudyFolder
    budget: SearchSettings
    allowed: AllowedCode
    known: AllowedCode

    def begin(self) -> Search:
        """Start the server of the workers, and return the search."""
        if self.call.ray is None:
            from tunecli.search.workers.local import start_server

            start_server()  # loads torch while this process loads the rest

        from tunecli.search.run import Search

        call = self.call
        search = Search(
            self.study,
            self.study_folder,
            self.budget,
            call.jobs,
            call.grace,
            call.jobs_per_gpu,
            call.log,
            restarts=call.restarts,
            ray=call.ray,
        )
        remember_allowed(self.study_folder, self.allowed)
        return search

    def events(self, search: Search) -> Generator[SearchEvent]:
        """Yield the events of the search, and remember the user code that it imports."""
        from tunecli.search.events.events import CodeLoaded

        with closing(search.events()) as events:
            for event in events:
                if isinstance(event, CodeLoaded):
                    remember_allowed(self.study_folder, self.known, event.files)
                yield event
