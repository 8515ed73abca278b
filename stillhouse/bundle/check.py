"""Is an unpacked bundle what was signed? `python -m stillhouse.bundle.check FOLDER [KEY]`.

`install.sh` asks it once the new environment stands; `KEY` is the maker's public key, in PEM, that
came by another way (`stillhouse releases key`). Without it, the check is against the key that came
with the bundle, whose fingerprint is printed for a person to compare.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from stillhouse.errors import UserError
from stillhouse.release.signing import fingerprint, is_signed_by
from stillhouse.storage.files import sha256_of

MANIFEST, SIGNATURE, PUBLIC_KEY, SUMS = "manifest.json", "manifest.sig", "release.pub", "SHA256SUMS"
# Files that the manifest doesn't list: it, its signature, and what is made of it.
LISTED_BY = {MANIFEST, SIGNATURE, PUBLIC_KEY, SUMS}
FORM = 1


def check(folder: Path, key: Path | None = None) -> str:
    """The fingerprint of the key that signed the bundle in `folder`.

    Raises:
        UserError: the signature is not this key's, or a file was edited, added or taken away.
    """
    try:
        data, signed = (folder / MANIFEST).read_bytes(), (folder / SIGNATURE).read_text("ascii")
        pem = (key or folder / PUBLIC_KEY).read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise _edited(MANIFEST, "it, its signature or the key can't be read") from error
    if not is_signed_by(pem, data, signed):
        raise _edited(MANIFEST, "its signature is not that of the key")
    files = json.loads(data)["files"]
    there = {f.relative_to(folder).as_posix(): f for f in folder.rglob("*") if not f.is_dir()}
    for name in sorted(files.keys() | (there.keys() - LISTED_BY)):
        if name not in files:
            raise _edited(name, "the manifest doesn't name it")
        if name not in there:
            raise _edited(name, "it is missing")
        if there[name].is_symlink() or sha256_of(there[name]) != files[name]["sha256"]:
            raise _edited(name, "its content is not what the manifest says")
    return fingerprint(pem)


def _edited(name: str, why: str) -> UserError:
    return UserError(
        f"{name}: {why}: this bundle was edited or damaged, and is not used",
        remedy="take another copy of it, and compare the fingerprint of the key with its maker's.",
    )


if __name__ == "__main__":
    try:
        print(check(*map(Path, sys.argv[1:3])))  # noqa: T201
    except UserError as error:
        sys.exit(f"Error: {error}")
