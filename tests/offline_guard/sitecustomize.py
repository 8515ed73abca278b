"""Put this folder on PYTHONPATH: every Python process then records its attempts to call out.

An audit hook sees name look-ups and connections that are not to this machine, appends a line for
each to the file named by `OFFLINE_GUARD_LOG`, and refuses them. Where `OFFLINE_GUARD_FOLDER` names
a folder, it also records what changes a file outside of it, and programs that are started; these
it lets through. Without the first variable it does nothing.
"""

import ipaddress
import os
import sys
import traceback
from typing import Any

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGES = {
    *("os.mkdir", "os.remove", "os.rmdir", "os.rename", "os.link", "os.symlink", "os.truncate"),
    *("os.chmod", "os.chown", "os.utime"),
}
PROGRAMS = {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.startfile"}
LOCAL_NAMES = {None, "", "localhost", b"localhost", "localhost.localdomain"}


def _is_local(host: Any) -> bool:
    if host in LOCAL_NAMES:
        return True
    try:
        name = host.decode() if isinstance(host, bytes) else host
        address = ipaddress.ip_address(name.split("%")[0])
    except (ValueError, AttributeError, UnicodeDecodeError):
        return False
    return address.is_loopback or address.is_unspecified


def _host_asked_for(event: str, args: tuple[Any, ...]) -> Any:
    """The host of a socket event; None where none is involved (a Unix socket, say)."""
    if event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
        return args[0]
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        address = args[1]
        return address[0] if isinstance(address, tuple) else None
    return None


def _changes(event: str, args: tuple[Any, ...], folder: str) -> Any:
    """The path outside of `folder` that is to be changed, or the program to be started."""
    if event in PROGRAMS:
        return args[0]
    if event == "open" and not (isinstance(args[2], int) and args[2] & WRITING):
        return None
    paths = args[: 2 if event in ("os.rename", "os.link", "os.symlink") else 1]
    for path in paths if event == "open" or event in CHANGES else ():
        if isinstance(path, (str, bytes, os.PathLike)):  # else the number of an open file
            if isinstance(args[-1], int) and args[-1] >= 0 and event == "os.remove":
                continue  # below a folder that is open already
            whole = os.path.realpath(os.fsdecode(path))
            if whole != os.devnull and not whole.startswith(f"{folder}{os.sep}"):
                return whole
    return None


def _install(log: str, folder: str | None) -> None:
    own_name = os.uname().nodename
    noting: list[str] = []

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if noting:  # the log itself is opened
            return
        if event.startswith("socket."):
            host = _host_asked_for(event, args)
            # A look-up of the machine's own name stays on the machine.
            found = None if _is_local(host) or host == own_name else host
        else:
            found = _changes(event, args, folder) if folder else None
        if found is None:
            return
        caller = " < ".join(
            f"{frame.name} ({frame.filename}:{frame.lineno})"
            for frame in reversed(traceback.extract_stack()[:-1][-6:])
        )
        line = f"pid {os.getpid()} {event} {found!r} from {caller}\n"
        noting.append(event)
        try:
            descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.write(descriptor, line.encode())
            os.close(descriptor)
        finally:
            noting.pop()
        if event.startswith("socket."):
            raise OSError(f"offline guard: {event} {found!r}")

    sys.addaudithook(hook)


if os.environ.get("OFFLINE_GUARD_LOG"):
    _install(os.environ["OFFLINE_GUARD_LOG"], os.environ.get("OFFLINE_GUARD_FOLDER"))
