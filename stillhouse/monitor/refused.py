"""Lines of logs that gave no request, with the reason and nothing of what they say."""

from __future__ import annotations

from typing import Any

from stillhouse.corpus.parsed import quarantine_schema
from stillhouse.monitor.assigned import NO_TASK
from stillhouse.monitor.logs import NO_JSON, NOT_UTF8, TOO_LONG, TRUNCATED, Cursor
from stillhouse.monitor.requests import NO_OBJECT, NO_TEXT, OTHER, REDACTED
from stillhouse.storage.files import digest
from stillhouse.storage.layout import Layout
from stillhouse.storage.tables import read_table, table_writer

SOURCE, STEP = "traffic", "production_traffic"
# Rows; of more lines the facts have the counts.
MOST = 10_000

REASONS = {
    NO_JSON: ("a line that is no JSON", "write one JSON object a line; text between them is none."),
    TRUNCATED: ("a last line that was cut short", "nothing, if its writer was stopped."),
    NOT_UTF8: ("a line that is not UTF-8", "write logs in UTF-8."),
    TOO_LONG: ("a line of more than 32 MB", "log texts, not files that are sent with them."),
    NO_OBJECT: ("JSON that is no object", "write one JSON object a line."),
    NO_TEXT: ("no text that was asked", "log the request's messages, prompt or input."),
    REDACTED: ("a request whose text was left out", "let the proxy log messages."),
    OTHER: ("not of the form that is named", "correct `traffic.format`, or leave it out."),
    NO_TASK: (
        "no task of this project",
        "say with `traffic.task` where the log names it, or log whole prompts.",
    ),
}


class Refused:
    """The quarantine of logs: what it holds, or nothing if `reset`, and what is added."""

    def __init__(self, layout: Layout, *, reset: bool) -> None:
        self._file = layout.quarantine(STEP)
        kept = self._file.exists() and not reset
        self._rows: list[dict[str, Any]] = read_table(self._file).to_pylist() if kept else []

    def add(self, cursor: Cursor, line: int, reason: str) -> None:
        if len(self._rows) < MOST:
            said, remedy = REASONS[reason]
            self._rows.append(
                {
                    "source": SOURCE,
                    "file_id": digest(SOURCE, cursor.path),
                    "suffix": "",
                    "category": reason,
                    "reason": said,
                    "remedy": remedy,
                    "line": line,
                }
            )

    def write(self) -> None:
        if self._rows or self._file.exists():
            with table_writer(self._file, quarantine_schema()) as write:
                write(self._rows)
