"""The next round of a study: its file with the changes that the findings suggest."""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tunecli.database.records import StudyRecord
from tunecli.errors import StudyFileError, TunecliError
from tunecli.report.analysis.ranking import best_trial
from tunecli.report.findings.evidence.evidence import INDEPENDENT_SAMPLERS, Evidence
from tunecli.report.findings.evidence.finding import NewSetting, keeps_scores_comparable
from tunecli.report.next_round.averages import means_macro, say_macro
from tunecli.report.next_round.chosen_changes import Advice, closer, settled
from tunecli.report.next_round.editing import Editing, UnfitError
from tunecli.report.next_round.opening import Renaming, opened
from tunecli.report.next_round.paths import moved
from tunecli.report.next_round.unused_tokens import unused_token_settings
from tunecli.report.phrases import foreign_text, wording
from tunecli.study_file.read.overrides import with_overrides
from tunecli.study_file.read.sampler_rules import LEARNERS
from tunecli.study_file.settings.setting_types import LARGEST_SEED
from tunecli.study_file.study_file import StudyFile
from tunecli.study_file.text.comments import annotated, rewritten, with_first
from tunecli.study_file.text.counts import count
from tunecli.study_file.text.document import Document

Style = Literal["go on", "explore", "exploit"]
"""Search as before, evenly in the whole space, or only where the best trials lie."""

N_BEST = 5  # trials with which the new study begins
N_STARTUP = 5  # random trials of TPE in a round that exploits
_OTHER_SEED = "Another seed, so that random trials differ from those of {}."
_OWN_TOKENS = "Left out, since every model now has its own tokenizer: {}."


class NoStudyFileError(TunecliError):
    """There is no usable study file for a next round."""

    exit_code = 2


@dataclass(frozen=True)
class Round:
    """A study file and its changes.

    Attributes:
        made: the changes that it contains.
        left_out: sentences on the changes that were not made.
    """

    name: str
    text: str
    made: tuple[Advice, ...]
    left_out: tuple[str, ...]


def write_next_round(
    evidence: Evidence,
    advice: Sequence[Advice],
    name: str | None = None,
    file: Path | None = None,
    style: Style = "go on",
    options: str = "",
) -> Round:
    """Write the study file of the next round.

    Args:
        advice: changes that the findings suggest.
        name: name of the new study; by default the old name with the next number.
        file: the new file; by default it is in the old one's folder and has the new study's name.
        options: those with which `search` finds the studies, for the command in the file.

    Raises:
        NoStudyFileError: another program made the study, or this version cannot read its file.
    """
    study = evidence.study
    text, before = _old(study, file.parent if file is not None else None)
    parameters = before.parameters
    if style == "exploit":
        advice = [*advice, *closer(evidence, parameters)]
    left_out = [
        f"{foreign_text.plain(one.change.line)}, since scores would no longer be comparable with "
        f"those of {study.name}. {_comment(one)} Make this change yourself, in a new study, if "
        "you want it."
        for one in advice
        if not keeps_scores_comparable(one.change)
    ]
    wanted = settled([one for one in advice if keeps_scores_comparable(one.change)], parameters)
    new_name = name or following(study.name)
    new_file = str(file) if file is not None else f"{new_name}.yaml"
    renaming = Renaming(study.name, new_name, new_file, options)
    draft = _Draft(text, before, study, renaming, style)
    with suppress(UnfitError):
        return Round(new_name, draft.written(wanted), tuple(wanted), tuple(left_out))
    made: list[Advice] = []
    for one in wanted:  # one change does not fit: find out which
        try:
            draft.written([*made, one])
        except UnfitError as error:
            left_out.append(f"{foreign_text.plain(one.change.line)}, since {error}")
        else:
            made.append(one)
    try:
        return Round(new_name, draft.written(made), tuple(made), tuple(left_out))
    except UnfitError as error:
        raise NoStudyFileError(
            f"The study file of the round after {study.name} cannot be written: {error}"
        ) from None


def following(name: str) -> str:
    """Return the next study's name: `digits-2` after `digits`, `digits-3` after `digits-2`."""
    match = re.fullmatch(r"(.*)-([0-9]{1,6})", name)
    return f"{match[1]}-{int(match[2]) + 1}" if match else f"{name}-2"


def _old(study: StudyRecord, folder: Path | None) -> tuple[str, StudyFile]:
    """Return the study file that the search used last, with its overrides applied."""
    text, overrides = study.newest
    if not text:
        raise NoStudyFileError(
            f"Study {study.name} was made by another program. It has no study file, which a next "
            "round needs."
        )
    try:
        document, _ = with_overrides(Document.parse(text, study.file), overrides)
        data = document.data
        if means_macro(study):
            say_macro(data)
        if folder is not None:
            data = moved(data, Path(study.file).parent, folder)
        folded = with_first(rewritten(text, data), "study")
        return folded, StudyFile.from_text(folded, study.file)
    except (StudyFileError, ValueError, TypeError) as error:
        raise NoStudyFileError(
            f"This version of tunecli cannot read the study file of {study.name}: {error}"
        ) from None


@dataclass(frozen=True)
class _Draft:
    """What all versions of the new file have in common."""

    text: str
    before: StudyFile
    study: StudyRecord
    renaming: Renaming
    style: Style

    def written(self, advice: Sequence[Advice]) -> str:
        """Return the text of the file with these changes.

        Raises:
            UnfitError: one of them cannot be made, or the file would be invalid.
        """
        data = copy.deepcopy(Document.parse(self.text, "").data)
        editing = Editing(data, self.before)
        try:
            editing.make([(one.change, _comment(one)) for one in advice])
            changes = [one.change for one in advice]
            editing.leave_out("data", unused_token_settings(self.before, changes), _OWN_TOKENS)
            # Trials before a new setting differ from those after it.
            is_same = not any(isinstance(one.change, NewSetting) for one in advice)
            self._go_on(editing, is_same=is_same)
            text = annotated(rewritten(self.text, data), editing.notes)
            text = opened(text, self._parent(), self.renaming)
            StudyFile.from_text(text, self.study.file)
        except StudyFileError as error:
            raise UnfitError(error.problems[0].message) from None
        return text

    def _go_on(self, editing: Editing, *, is_same: bool) -> None:
        """Name the new study and its parent, from which it starts and learns.

        Args:
            is_same: whether the new study can learn from trials of the parent.
        """
        data, parent = editing.data, self.study.name
        search = dict(data.get("search") or {})
        sampler = self._sampler(search)
        search["start_with"] = {"study": parent, "best": N_BEST}
        search.pop("learn_from", None)
        learns = is_same and sampler in LEARNERS
        if learns:
            others = self.before.search.learn_from
            search["learn_from"] = [*others, parent] if others else parent
        if learns or sampler in INDEPENDENT_SAMPLERS:  # others must see the scores again
            search["start_with"]["repeat"] = False
        data["search"] = search
        opening: dict[str, Any] = {"study": self.renaming.new_study}
        if not learns:  # with the same seed, it would draw the parent's random trials again
            opening["seed"] = (self.before.seed + 1) % (LARGEST_SEED + 1)
            editing.remark("seed", _OTHER_SEED.format(parent))
        _set_opening(data, opening)

    def _parent(self) -> str:
        """Return the parent study in words."""
        words = f"{self.study.name}: {count(len(self.study.trials), 'trial')}"
        best = best_trial(self.study)
        if best is None:
            return words
        return f"{words}, best {foreign_text.plain(self.study.title)} {wording.score(best.value)}"

    def _sampler(self, search: dict[str, Any]) -> str:
        """Write the sampler that the style asks for, and return its full name."""
        if self.style == "exploit":
            search["sampler"] = {"TPE": {"n_startup_trials": N_STARTUP}}
            return "TPESampler"
        if self.style == "explore":
            has_branches = any(parameter.conditions for parameter in self.before.parameters)
            search["sampler"] = "Random" if has_branches else "QMC"
            return f"{search['sampler']}Sampler"
        return self.before.search.sampler.name


def _set_opening(data: dict[str, Any], opening: dict[str, Any]) -> None:
    """Set `study`, the first section, and others; new ones follow it, and old ones stay."""
    added = {section: value for section, value in opening.items() if section not in data}
    new = {"study": "", **added, **data, **opening}
    data.clear()
    data.update(new)


def _comment(advice: Advice) -> str:
    return foreign_text.plain(" ".join(advice.reason.split()))
