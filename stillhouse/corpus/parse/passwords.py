"""Encrypted PDFs, opened by passwords that the project file points to.

A password is looked up where it is needed and forgotten: it is in no job, row, message or record.
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path

from stillhouse.config.corpus import Password
from stillhouse.corpus.parse.unparsable import Unparsable
from stillhouse.errors import UserError


def look_up(password: Password, root: Path = Path()) -> str:
    """What stands at the place that `password` names; a relative path is one below `root`.

    Raises:
        UserError: nothing stands there.
    """
    if password.file is None:
        name = password.env or ""
        found, where = os.environ.get(name, ""), f"the environment variable {name}"
    else:
        where = f"the file {password.file}"
        try:
            found = (root / password.file).read_text("utf-8").strip("\r\n")
        except (OSError, ValueError) as error:
            raise _missing(where) from error
    if not found:
        raise _missing(where)
    return found


def _missing(where: str) -> UserError:
    return UserError(
        f"passwords: {where} holds no password",
        remedy="set it before the run, or take it out of `passwords` in the project file.",
    )


def unlocked(data: bytes, passwords: Sequence[Password]) -> bytes:
    """The PDF without its encryption, by the first of the passwords that opens it.

    Raises:
        Unparsable: none does.
        UserError: one is not where it is said to be.
    """
    import pikepdf

    for password in passwords:
        try:
            with pikepdf.open(io.BytesIO(data), password=look_up(password)) as document:
                plain = io.BytesIO()
                document.save(plain)
                return plain.getvalue()
        except pikepdf.PasswordError:
            continue
    opens = ", and none of the project file's opens it" if passwords else ""
    raise Unparsable(
        "encrypted",
        f"the file asks for a password{opens}",
        remedy="say in the project file where it is to be had, `passwords: [{env: NAME}]` or "
        "`[{file: path}]`, or save the file without a password.",
    )
