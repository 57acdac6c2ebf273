"""One study as Python sees it: tables, figures, the Optuna study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunecli.database.curves import Curve
from tunecli.database.records import StudyRecord, read_study
from tunecli.database.urls import sqlite_file, sqlite_url
from tunecli.errors import UserError
from tunecli.notebook import frames
from tunecli.notebook.plotly_figures import Theme, plotly_data, plotly_figure
from tunecli.report.analysis.importance import importance
from tunecli.report.analysis.importance_intervals import importance_intervals
from tunecli.report.analysis.ranking import best_trial
from tunecli.report.findings.all_findings import all_findings, leading_findings
from tunecli.report.findings.evidence.evidence import Evidence
from tunecli.report.page.plots.plot import Plot
from tunecli.report.page.study_page import said_of, study_plots
from tunecli.report.phrases import foreign_text, wording
from tunecli.search.study.named_study import record_at
from tunecli.search.study.study_folder import DATABASE
from tunecli.study_file.text.counts import count
from tunecli.study_file.text.suggestions import did_you_mean, listed

if TYPE_CHECKING:
    import optuna
    import pandas as pd


def load_study(
    study: str | Path, runs: str | Path = "runs", storage: str | None = None
) -> LoadedStudy:
    """Load a study as it is now; load it again to see what a running search has added.

    Args:
        study: its name, its study file, or its folder, such as `runs/digits`.
        runs: the folder of all studies.
        storage: SQLAlchemy URL of another database than that in the folder of the study.

    Raises:
        StudyNotFoundError: there is no such study.
        StudyFileError: the study file has mistakes, or does not exist.
        DatabaseError: the database is damaged, foreign or locked.
    """
    if _is_folder(study):
        return LoadedStudy.of(read_study(sqlite_url(Path(study) / DATABASE)))
    return LoadedStudy.of(record_at(str(study), Path(runs), storage)[1])


def _is_folder(study: str | Path) -> bool:
    """Return whether the path of a folder was given; a name of the same letters is a name."""
    return (isinstance(study, Path) or "/" in study) and Path(study).is_dir()


@dataclass(frozen=True)
class LoadedStudy:
    """A study as it was when it was loaded; curves, findings and figures are read on demand.

    Attributes:
        record: everything the database has on the study, as plain values.
    """

    record: StudyRecord = field(repr=False)

    @classmethod
    def of(cls, record: StudyRecord) -> LoadedStudy:
        """Return the study of a record, whose database is found from any current folder."""
        file = sqlite_file(record.url)
        return cls(record if file is None else replace(record, url=sqlite_url(file.absolute())))

    def __repr__(self) -> str:
        """Return the study in one line."""
        record, best = self.record, best_trial(self.record)
        told = f"<{record.name}: {count(len(record.trials), 'trial')}"
        if best is not None:
            score = wording.with_spread(best.value, best.spread)
            told += f", best is trial {best.number} with {record.title} {score}"
        return f"{foreign_text.plain(told)}>"

    @property
    def name(self) -> str:
        """The name of the study."""
        return self.record.name

    @property
    def best(self) -> int | None:
        """The number of the best complete trial in the first objective; None before there is one.

        `study.trials.loc[study.best]` is its row.
        """
        best = best_trial(self.record)
        return best.number if best is not None else None

    @cached_property
    def trials(self) -> pd.DataFrame:
        """One row per trial, by its number: outcome, value, fold scores, metrics, parameters."""
        return frames.trials_frame(self.record)

    @cached_property
    def curves(self) -> pd.DataFrame:
        """One row per trial and evaluation: means over folds."""
        return frames.curves_frame(self.record, self._curves)

    @cached_property
    def folds(self) -> pd.DataFrame:
        """One row per trial, fold and evaluation."""
        return frames.folds_frame(self.record, self._curves)

    @cached_property
    def findings(self) -> pd.DataFrame:
        """One row per finding of the report, the most useful first."""
        findings = all_findings(self._evidence)
        return frames.findings_frame(findings, leading_findings(findings, self._evidence))

    @cached_property
    def baselines(self) -> pd.DataFrame:
        """One row per untuned baseline on the same folds; no rows before they are known."""
        return frames.baselines_frame(self.record.baselines)

    @property
    def figures(self) -> tuple[str, ...]:
        """The names of all figures, which are those of the page."""
        return tuple(self._plots)

    def figure(self, name: str, theme: Theme = "light") -> Any:
        """Return a figure as a plotly Figure, which a notebook shows.

        Raises:
            MissingPackageError: plotly is not installed; `figure_data` needs no package.
            UserError: there is no such figure.
        """
        return plotly_figure(self.figure_data(name, theme))

    def figure_data(self, name: str, theme: Theme = "light") -> dict[str, Any]:
        """Return a figure as plotly.js reads it: `{"data": …, "layout": …}`, ready for JSON.

        Raises:
            UserError: there is no such figure.
        """
        if name not in self._plots:
            known = f" Its figures are {listed(self._plots)}." if self._plots else " It has none."
            raise UserError(
                f"Study `{self.name}` has no figure {name!r}."
                f"{did_you_mean(name, self._plots) or known}"
            )
        hover = {trial.number: said_of(self.record, trial) for trial in self.record.trials}
        return plotly_data(self._plots[name], hover, theme)

    def optuna_study(self) -> optuna.Study:
        """Return the study as Optuna's, read-only: for its plots, importances and analyses.

        Raises:
            DatabaseError: the database is damaged, foreign or locked.
        """
        from optuna import load_study

        from tunecli.report.serve_dashboard import read_only_storage

        return load_study(study_name=self.name, storage=read_only_storage(self.record.url))

    @cached_property
    def _curves(self) -> Mapping[int, Curve]:
        return self.record.curves()

    @cached_property
    def _evidence(self) -> Evidence:
        return Evidence.of(self.record)

    @cached_property
    def _plots(self) -> dict[str, Plot]:
        record = self.record
        return study_plots(self._evidence, importance(record), importance_intervals(record))
