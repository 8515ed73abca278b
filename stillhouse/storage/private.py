"""What documents say is personal data until it is masked: files are their owner's alone."""

from __future__ import annotations

import os


def keep_private() -> None:
    """From now on, what this process and its children write only its owner may read."""
    os.umask(0o077)
