"""What may stand in a map as a key, and how a map names a record that is not one of ours.

An MTA looks up more than addresses: host names that the client's owner chooses, and shortened addresses (`127`, `10.1`,
`2001:db8`). A wrong key therefore opens a network or a stranger's machine. Only a full canonical address goes in, or a
whole IPv6 network where the kind of map can express one.

A record that a map holds but that we would not have written (a foreign key, our key with another value) is reported
with a NUL in front, so that it equals no address: whoever compares the map with the ledger finds it surplus, and hands
it back for removal.
"""

from __future__ import annotations

from ipaddress import IPv6Network

from poprelay.address import is_canonical

_MARK = "\0"
_SHORTEST_PREFIX = 64


def checked(key: str, *, networks: bool = False) -> str:
    """`key` itself, if a map may hold it; ValueError if not, which is a bug of the caller.

    >>> checked("192.0.2.7"), checked("2001:db8::7"), checked("2001:db8::/64", networks=True)
    ('192.0.2.7', '2001:db8::7', '2001:db8::/64')
    >>> checked("192.0.2")
    Traceback (most recent call last):
    ...
    ValueError: '192.0.2' may not be a key: it is not a full canonical address
    """
    if is_canonical(key):
        return key
    if networks and _is_network(key):
        return key
    wanted = "a full canonical address, nor an IPv6 network of at least /64" if networks else "a full canonical address"
    raise ValueError(f"{key!r} may not be a key: it is not {wanted}")


def _is_network(key: str) -> bool:
    try:
        network = IPv6Network(key)
    except ValueError:
        return False
    return str(network) == key and _SHORTEST_PREFIX <= network.prefixlen < 128


def foreign(record: bytes) -> str:
    """The name under which a map reports a record that is not ours.

    >>> foreign(b"unknown")
    '\\x00unknown'
    """
    return _MARK + record.decode("utf-8", "surrogateescape")


def foreign_record(key: str) -> bytes | None:
    """The record that `foreign` named, or None if `key` is an ordinary key.

    >>> foreign_record(foreign(b"127")), foreign_record("192.0.2.7")
    (b'127', None)
    """
    return key[1:].encode("utf-8", "surrogateescape") if key.startswith(_MARK) else None
