"""This host: its own addresses, and the gateways that it sends through. Neither is ever a client out in the world.

What is asked, and what it needs:

    own addresses   getifaddrs(3), on every POSIX system; no privilege. On Linux the C library asks the kernel by
                    netlink, so a unit with `RestrictAddressFamilies=` must list AF_NETLINK
    gateways        Linux: /proc/self/net/route and /proc/self/net/ipv6_route (proc(5)), the main routing table of our
                    own network namespace. Elsewhere no file says it: none are found, and the operator lists his
                    gateway in `deny_networks` if it hides clients behind itself

Nothing is kept: each call looks again, for both change while we run. A look takes well under a millisecond.
"""

from __future__ import annotations

import ctypes
import os
import socket
import sys
from contextlib import suppress
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Final

from poprelay.address import Network, canonical
from poprelay.model import Address

_NET: Final = Path("/proc/self/net")
_DEVICES: Final = Path("/sys/class/net")
_GATEWAY: Final = 0x0002
"""RTF_GATEWAY of route(7)."""


def own_addresses() -> frozenset[Address]:
    """Every address of every interface of this host, loopback included. Raises OSError if the system does not say."""
    library = ctypes.CDLL(None, use_errno=True)
    first = ctypes.c_void_p()
    if library.getifaddrs(ctypes.byref(first)) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    found: set[Address] = set()
    try:
        pointer = first.value
        while pointer:
            entry = _Interface.from_address(pointer)
            address = _address(entry.address)
            if address is not None:
                found.add(address)
            pointer = entry.next
    finally:
        library.freeifaddrs(first)
    return frozenset(found)


def gateways(net: Path = _NET) -> frozenset[Address]:
    """Every gateway of the main routing table; none where no table is shown. Raises OSError if it is unreadable."""
    if not net.is_dir():
        return frozenset()
    found: set[Address] = set()
    for name, read in (("route", _ipv4_gateways), ("ipv6_route", _ipv6_gateways)):
        try:
            found |= read((net / name).read_text("ascii"))
        except FileNotFoundError:  # a kernel without that family
            continue
    return frozenset(found)


def bridges(net: Path = _NET, devices: Path = _DEVICES) -> tuple[Network, ...]:
    """The networks behind this host's bridges: of containers and virtual machines, many behind one address each."""
    names = {path.parent.name for path in devices.glob("*/bridge")}
    found: list[Network] = []
    with suppress(FileNotFoundError):  # a kernel without that family
        rows = [line.split() for line in (net / "route").read_text("ascii").splitlines()[1:]]
        found += [_ipv4_network(row[1], row[7]) for row in rows if row[0] in names and int(row[7], 16)]
    with suppress(FileNotFoundError):
        rows = [line.split() for line in (net / "ipv6_route").read_text("ascii").splitlines()]
        found += [
            IPv6Network((bytes.fromhex(row[0]), int(row[1], 16)))
            for row in rows
            if row[9] in names and 0 < int(row[1], 16) < 128
        ]
    return tuple(network for network in dict.fromkeys(found) if not (network.is_link_local or network.is_multicast))


def _ipv4_network(destination: str, mask: str) -> IPv4Network:
    """From two hexadecimal numbers in this machine's order."""
    address, bits = (int(number, 16).to_bytes(4, sys.byteorder) for number in (destination, mask))
    return IPv4Network((address, int.from_bytes(bits, "big").bit_count()))


def _ipv4_gateways(table: str) -> set[Address]:
    """From lines `iface destination gateway flags …`, addresses as one hexadecimal number in this machine's order."""
    found: set[Address] = set()
    for line in table.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 3 and int(fields[3], 16) & _GATEWAY:
            found.add(_read(int(fields[2], 16).to_bytes(4, sys.byteorder)))
    return found - _NOWHERE


def _ipv6_gateways(table: str) -> set[Address]:
    """From lines `destination length source length gateway metric references use flags iface`, in hexadecimal."""
    found: set[Address] = set()
    for line in table.splitlines():
        fields = line.split()
        if len(fields) > 8 and int(fields[8], 16) & _GATEWAY:
            found.add(_read(bytes.fromhex(fields[4])))
    return found - _NOWHERE


_NOWHERE: Final = {Address("0.0.0.0"), Address("::")}  # noqa: S104 - compared with, never listened on


class _Interface(ctypes.Structure):
    """The beginning of struct ifaddrs, the same on Linux, BSD and macOS."""

    _fields_ = (
        ("next", ctypes.c_void_p),
        ("name", ctypes.c_char_p),
        ("flags", ctypes.c_uint),
        ("address", ctypes.c_void_p),
    )


def _address(pointer: int | None) -> Address | None:
    """The address in the struct sockaddr at `pointer`; None if it holds none of ours."""
    if not pointer:
        return None
    head = ctypes.string_at(pointer, 2)
    family = int.from_bytes(head, sys.byteorder) if sys.platform == "linux" else head[1]
    if family == socket.AF_INET:
        return _read(ctypes.string_at(pointer + 4, 4))
    if family == socket.AF_INET6:
        return _read(ctypes.string_at(pointer + 8, 16))
    return None


def _read(packed: bytes) -> Address:
    text = socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)
    address = canonical(text)
    assert address is not None
    return address
