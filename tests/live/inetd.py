"""Listens on a port and runs a program for each connection, as inetd does: `inetd.py PORT PROGRAM [ARGUMENT]...`."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    with socket.create_server(("", int(sys.argv[1])), family=socket.AF_INET6, dualstack_ipv6=True) as listener:
        while True:
            connection, _ = listener.accept()
            with connection:
                subprocess.Popen(
                    sys.argv[2:], stdin=connection.fileno(), stdout=connection.fileno(), stderr=subprocess.DEVNULL
                )


if __name__ == "__main__":
    main()
