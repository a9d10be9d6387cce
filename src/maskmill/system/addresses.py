"""Addresses and ports of this machine."""

import psutil

# what to call an address that means all of them
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104


def url(host: str, port: int) -> str:
    """Where this machine reaches a server that listens on `host` and `port`."""
    host = _ANY.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def listeners(port: int) -> list[psutil.Process]:
    """The processes that listen on a port, as far as the system says.

    Raises: psutil.Error where the system says nothing.
    """
    found = psutil.net_connections("tcp")
    pids = {
        c.pid for c in found if c.status == psutil.CONN_LISTEN and c.laddr.port == port and c.pid
    }
    return [psutil.Process(pid) for pid in sorted(pids)]
