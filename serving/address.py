"""An address to listen on, and what is told where that cannot be."""

import socket


def check_address(host: str, port: int) -> None:
    """Raises OSError as `listening` does: before a network is loaded for nothing."""
    listening(host, port).close()


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens. IPv4 first where a name has both: it is what OpenIGTLink's own library calls.

    Raises OSError that says what to do where the port is taken or the address is another machine's.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = min(found, key=lambda one: one[0] != socket.AF_INET)
        return socket.create_server((str(address[0]), port), family=family)
    except OSError as error:
        told = f"cannot listen on {host}:{port} ({error}): give a free port, and --host an address of this machine"
        raise OSError(f"{told} or 0.0.0.0") from error
