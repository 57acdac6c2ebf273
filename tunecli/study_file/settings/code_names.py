"""Names of the user's own code in a study file: `module:Name` or `path.py:Name`."""

from __future__ import annotations

from dataclasses import dataclass

from tunecli.study_file.settings.source_kinds import CODE_NAME


@dataclass(frozen=True)
class CodeName:
    """What a study file calls something of the user's own.

    Attributes:
        place: a file relative to the study file, or a module with dots.
        name: of the class or function in it.
    """

    place: str
    name: str

    @classmethod
    def parse(cls, text: object) -> CodeName | None:
        """None if it is no such name."""
        match = CODE_NAME.fullmatch(text) if isinstance(text, str) else None
        return cls(match["place"], match["name"]) if match else None

    @property
    def is_file(self) -> bool:
        """Whether the place is a file, and no module."""
        return self.place.endswith(".py")

    @property
    def to_allow(self) -> str:
        """What `--code` must name: the file, or the package."""
        return self.place if self.is_file else self.place.partition(".")[0]


def is_code(text: object) -> bool:
    """Whether a name in a study file is one of the user's own code."""
    return CodeName.parse(text) is not None


def short_name(text: str) -> str:
    """What stands in the database and on the screen: `Net` for `my_models.py:Net`."""
    found = CodeName.parse(text)
    return found.name if found else text
