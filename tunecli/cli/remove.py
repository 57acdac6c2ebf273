from pathlib import Path

from tunecli.cli.shared.find_study import display_storage, study_at
from tunecli.cli.shared.options import RunsOption, StorageOption, StudyArgument
from tunecli.cli.shared.streams import say
from tunecli.errors import StudyNotFoundError


def remove(
    study: StudyArgument, runs: RunsOption = Path("runs"), storage: StorageOption = None
) -> None:
    """Move a study to runs/.trash.

    With --storage, it is renamed in that database. Nothing is deleted.

    Example: tunecli remove digits
    """
    from tunecli.search.study.trash import put_away

    study_folder = study_at(study, runs, storage)
    with study_folder.locked():
        moved = put_away(study_folder)
    for sentence in moved:
        say(sentence)
    if not moved:
        where = display_storage(storage) if storage else study_folder.runs.resolve()
        raise StudyNotFoundError(f"There is no study {study_folder.name} in {where}.")
