"""Load the data set that a study file names."""

from __future__ import annotations

from collections.abc import Callable

from tunecli.data.arrays.arrays import load_arrays
from tunecli.data.arrays.user_data import load_user_data
from tunecli.data.pictures.pictures import load_pictures
from tunecli.data.pictures.torchvision_sets import load_torchvision
from tunecli.data.rows.dataset import Dataset
from tunecli.data.rows.workspace import HERE, Workspace
from tunecli.data.tables.bundled_sets import load_bundled
from tunecli.data.tables.tables import load_table
from tunecli.errors import DataError
from tunecli.study_file.settings.setting_types import SourceKind
from tunecli.study_file.settings.settings import DataSettings, ValidationSettings
from tunecli.study_file.settings.source_kinds import kind_of, unknown_source

Loader = Callable[[DataSettings, ValidationSettings, Workspace], Dataset]

_LOADERS: dict[SourceKind, Loader] = {
    "bundled": load_bundled,
    "table": load_table,
    "arrays": load_arrays,
    "pictures": load_pictures,
    "torchvision": load_torchvision,
    "code": load_user_data,
}


def load_dataset(
    settings: DataSettings,
    workspace: Workspace = HERE,
    validation: ValidationSettings | None = None,
) -> Dataset:
    """Read the whole data set, unchanged and in its own order.

    Args:
        validation: a file, column or folder of validation rows is read, too.

    Raises:
        DataError: the source does not exist or cannot be used; with a remedy.
    """
    kind = kind_of(settings.source)
    if kind is None:
        raise DataError(unknown_source(settings.source, workspace.folder), "data.source")
    loader = _LOADERS.get(kind)
    if loader is None:
        raise DataError(f"{settings.source!r} cannot be read by this version.", "data.source")
    return loader(settings, validation or ValidationSettings(), workspace)
