"""Names of the user's own code in a study file: `module:Name` or `path.py:Name`."""

from __future__ import annotations

from dataclasses import dataclass

from tunecli.study_file.settings.source_kinds import CODE_NAME


@dataclass(frozen=True)
class CodeName:
    """The name of a class or function of the user's own.

    Attributes:
        place: a file relative to the study file, or a dotted module name.
        name: the class or function in it.
    """

    place: str
    name: str

    @classmethod
    def parse(cls, text: object) -> CodeName | None:
        """Return the parts of a name; None if it is not the name of code."""
        match = CODE_NAME.fullmatch(text) if isinstance(text, str) else None
        return cls(match["place"], match["name"]) if match else None

    @property
    def is_file(self) -> bool:
        """Whether the place is a file, not a module."""
        return self.place.endswith(".py")

    @property
    def to_allow(self) -> str:
        """The value of `--code` that allows it: the file, or the package."""
        return self.place if self.is_file else self.place.partition(".")[0]


def is_code(text: object) -> bool:
    """Return whether a value in a study file names the user's own code."""
    return CodeName.parse(text) is not None


def short_name(text: str) -> str:
    """Return the name in the database and on the screen: `Net` for `my_models.py:Net`."""
    code = CodeName.parse(text)
    return code.name if code else text
