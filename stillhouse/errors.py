"""Errors that a user can mend: what is wrong, where, and what to do about it."""


class UserError(Exception):
    """Something outside the code is wrong; shown on one screen, without a stack trace.

    `message` names the file and the field; `remedy` says what to do.
    """

    def __init__(self, message: str, *, remedy: str) -> None:
        super().__init__(f"{message}\n  Remedy: {remedy}")
        self.message = message
        self.remedy = remedy
