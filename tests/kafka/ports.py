"""Free TCP ports for servers of tests, which must know theirs beforehand and find it again after a restart.

They are from below the range that the kernel gives to whoever asks for any port: one of that range may be another's
by the time the server starts.    python3 ports.py COUNT    prints them.
"""

import random
import socket
import sys
from pathlib import Path

LOWEST = 10240


def free_ports(count: int) -> list:
    ephemeral = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    end = ephemeral if ephemeral > 2 * LOWEST else 65536  # a kernel that gives away nearly all leaves no better choice
    ports = []
    for port in random.sample(range(LOWEST, end), end - LOWEST):
        if len(ports) == count:
            return ports
        with socket.socket() as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                one.bind(("127.0.0.1", port))
            except OSError:
                continue
        ports.append(port)
    raise OSError(f"fewer than {count} ports are free from {LOWEST} to {end}")


if __name__ == "__main__":
    print(*free_ports(int(sys.argv[1])))
