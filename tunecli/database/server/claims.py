"""A row of each study that names the last process that opened the study alone."""

from __future__ import annotations

import json
from contextlib import suppress
from uuid import uuid4

from sqlalchemy import Connection, text

from tunecli.database.server.sessions import application_name
from tunecli.errors import StudyBusyError

_KEY = "tunecli:driver"
_ROW = "FROM study_user_attributes WHERE study_id = :study AND key = :key"
_READ = text(f"SELECT value_json {_ROW}")
_DELETE = text(f"DELETE {_ROW}")
_INSERT = text(
    "INSERT INTO study_user_attributes (study_id, key, value_json) VALUES (:study, :key, :value)"
)


class Claim:
    """A process's claim on a study, which lasts from one session with the server to the next.

    A lost session's lock is free. If another process has taken it, written, and ended before the
    next session, then only its own claim shows that.
    """

    def __init__(self, study_id: int) -> None:
        self._key = {"study": study_id, "key": _KEY}
        self._value = json.dumps({"process": application_name(), "id": str(uuid4())})

    def stake(self, connection: Connection) -> None:
        """Write the claim, in place of an earlier one."""
        connection.execute(_DELETE, self._key)
        connection.execute(_INSERT, self._key | {"value": self._value})

    def confirm(self, connection: Connection) -> None:
        """Read the claim once per session.

        Raises:
            StudyBusyError: another process has claimed the study since.
        """
        if _KEY in connection.info:
            return
        stored = connection.execute(_READ, self._key).scalar()
        if stored != self._value:
            raise StudyBusyError(
                f"This search lost its session with the database server, and {_process(stored)} "
                "used the study before this search had a new session, so this search stopped. "
                "Its stored results are kept: run the same command to resume."
            )
        connection.info[_KEY] = True


def _process(stored: str | None) -> str:
    with suppress(ValueError, TypeError, LookupError):
        name = str(json.loads(stored or "")["process"])
        return ascii(name.removeprefix("tunecli, "))[1:-1]
    return "another process"
