"""LibreOffice, where it is installed: it makes new Office files of the old ones (.doc, .ppt).

It is a program of its own (MPL 2.0), no part of this one, and runs beside the process that reads a
file: within the same limits of memory, killed with it. Each call has a new profile, in which
macros, links and active content are off, in a folder that goes afterwards. It asks for nothing on
the network; where this system lets any user have a network of his own (Linux, mostly), it gets an
empty one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from stillhouse.config.corpus import Programs
from stillhouse.corpus.parse.clock import program_begins
from stillhouse.corpus.parse.unparsable import Unparsable
from stillhouse.errors import UserError

NAMES = ("soffice", "libreoffice")
# Of one file; a file that holds many has as much for each.
SECONDS = 120.0
ALONE = ("unshare", "--user", "--map-root-user", "--net")

COMMON = "org.openoffice.Office.Common/Security/Scripting"
INTERNET = "org.openoffice.Inet/Settings"
SETTINGS = (
    (COMMON, "DisableMacrosExecution", "true"),
    (COMMON, "MacroSecurityLevel", "3"),
    (COMMON, "DisableActiveContent", "true"),
    (COMMON, "DisableOLEAutomation", "true"),
    (COMMON, "BlockUntrustedRefererLinks", "true"),
    ("org.openoffice.Office.Writer/Content/Update", "Link", "0"),
    # All that asks for the network is sent where nobody listens.
    (INTERNET, "ooInetProxyType", "2"),
    (INTERNET, "ooInetHTTPProxyName", "127.0.0.1"),
    (INTERNET, "ooInetHTTPProxyPort", "9"),
    (INTERNET, "ooInetHTTPSProxyName", "127.0.0.1"),
    (INTERNET, "ooInetHTTPSProxyPort", "9"),
)


def find_libreoffice(programs: Programs, root: Path) -> str | None:
    """The program that the project file names, below `root` where that is relative, or else one on
    PATH; None where there is none.

    Raises:
        UserError: the project file names something else.
    """
    if programs.libreoffice is None:
        return next((found for name in NAMES if (found := shutil.which(name))), None)
    path = root / programs.libreoffice
    if not (path.is_file() and os.access(path, os.X_OK)):
        raise UserError(
            f"programs.libreoffice: {programs.libreoffice} is no program that this user may start",
            remedy="name LibreOffice's `soffice` there, or leave it out: then it is looked for "
            "on PATH.",
        )
    return str(path)


def not_installed(kind: str) -> Unparsable:
    return Unparsable(
        "program",
        f"{kind} files are read through LibreOffice, which is not installed",
        remedy="install it (Debian and Ubuntu: libreoffice-writer-nogui and "
        "libreoffice-impress-nogui) or name its program in the project file, "
        "`programs: {libreoffice: path}`: the next run then reads the file. Or save it in a new "
        "format.",
    )


def converted(data: bytes, kind: str, new: str, program: str, workshop: Path | None) -> bytes:
    """The file in the format of the suffix `new`; its own is `kind`.

    It lies in a folder below `workshop` meanwhile, that nobody else can read.

    Raises:
        Unparsable: LibreOffice can't read it, or takes too long.
    """
    with TemporaryDirectory(prefix="office-", dir=workshop) as name:
        folder = Path(name).resolve()
        source, made = folder / f"in{kind}", folder / f"in{new}"
        source.write_bytes(data)
        _write_profile(folder / "profile")
        command = [
            *_alone(),
            program,
            f"-env:UserInstallation={(folder / 'profile').as_uri()}",
            *("--headless", "--norestore", "--nolockcheck", "--nodefault", "--nologo"),
            *("--convert-to", new[1:], "--outdir", str(folder), str(source)),
        ]
        _run(command, folder)
        if not made.exists():
            raise Unparsable(
                "corrupt",
                "LibreOffice can't read it",
                remedy="open it in its own program and save it again, in a new format.",
            )
        return made.read_bytes()


def _write_profile(folder: Path) -> None:
    items = "".join(
        f'<item oor:path="/{path}"><prop oor:name="{name}" oor:op="fuse"><value>{value}</value>'
        "</prop></item>"
        for path, name, value in SETTINGS
    )
    (folder / "user").mkdir(parents=True)
    (folder / "user" / "registrymodifications.xcu").write_text(
        '<?xml version="1.0" encoding="UTF-8"?>'
        f'<oor:items xmlns:oor="http://openoffice.org/2001/registry">{items}</oor:items>'
    )


@lru_cache(maxsize=1)
def _alone() -> tuple[str, ...]:
    """What gives a program a network without a way out; nothing where that isn't allowed."""
    if shutil.which(ALONE[0]) is None:
        return ()
    tried = subprocess.run([*ALONE, "true"], capture_output=True, check=False)  # noqa: S603
    return () if tried.returncode else ALONE


def _run(command: list[str], folder: Path) -> None:
    program_begins()
    kept = ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT")
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    environment |= {"HOME": str(folder), "TMPDIR": str(folder), "LC_ALL": "C.UTF-8"}
    environment |= {"SAL_USE_VCLPLUGIN": "svp"}
    with subprocess.Popen(  # noqa: S603 - what the project file or PATH names
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=folder,
        env=environment,
    ) as process:
        try:
            process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            raise Unparsable(
                "too_slow",
                f"LibreOffice takes more than {SECONDS:.0f} seconds to read it",
                remedy="open it in its own program and save it again, in a new format.",
            ) from None
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """It starts others, which outlive it."""
    with suppress(psutil.Error):
        for other in psutil.Process(process.pid).children(recursive=True):
            with suppress(psutil.Error):
                other.kill()
    process.kill()
