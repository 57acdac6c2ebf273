from __future__ import annotations

from pathlib import Path

from tunecli.cli.options import RunsOption, StorageOption, StudyArgument
from tunecli.cli.places import find, set_aside, shown
from tunecli.errors import StudyNotFoundError


def remove(
    study: StudyArgument,
    runs: RunsOption = Path("runs"),
    storage: StorageOption = None,
) -> None:
    """Remove a study: its folder goes to runs/.trash; from another database it is deleted.

    Example: tunecli remove digits
    """
    place = find(study, runs, storage)
    with place.held():
        found = set_aside(place)
    if not found:
        where = shown(storage) if storage else place.runs.resolve()
        raise StudyNotFoundError(f"There is no study {place.name} in {where}.")
