"""Put this folder on PYTHONPATH: every Python process then records its attempts to call out.

An audit hook sees name look-ups and connections that are not to this machine, appends a line for
each to the file named by `OFFLINE_GUARD_LOG`, and refuses them. Without the variable it does
nothing.
"""

import ipaddress
import os
import sys
import traceback
from typing import Any

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


def _install(log: str) -> None:
    own_name = os.uname().nodename

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if not event.startswith("socket."):
            return
        host = _host_asked_for(event, args)
        # A look-up of the machine's own name stays on the machine.
        if _is_local(host) or host == own_name:
            return
        caller = " < ".join(
            f"{frame.name} ({frame.filename}:{frame.lineno})"
            for frame in reversed(traceback.extract_stack()[:-1][-6:])
        )
        line = f"pid {os.getpid()} {event} {host!r} from {caller}\n"
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)
        raise OSError(f"offline guard: {event} {host!r}")

    sys.addaudithook(hook)


if os.environ.get("OFFLINE_GUARD_LOG"):
    _install(os.environ["OFFLINE_GUARD_LOG"])
