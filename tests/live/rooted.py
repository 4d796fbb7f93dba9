"""A packaged server with a root of its own: accounts, mailboxes, a certificate, and what it writes.

A root is laid over /etc, /run and /var by `packages.staged(..., root=...)`.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import ClassVar, Final

from live.network import free_ports, listening
from live.packages import staged
from live.running import Running

PASSWORD: Final = "secret"
"""Every user's."""


def make_root(place: Path, *, users: tuple[str, ...] = (), daemons: tuple[str, ...] = ()) -> Path:
    """A new root in `place`: accounts for `users`, with homes, and for the servers' own `daemons`."""
    root = place / "root"
    for folder in ("etc", "run", "var/mail", "home"):
        (root / folder).mkdir(parents=True)
    (root / "var").chmod(0o755)
    known = {name: Path("/etc", name).read_text() for name in ("passwd", "group", "shadow")}
    word = _openssl("passwd", "-6", PASSWORD).strip()
    for number, user in enumerate((*users, *daemons), 4200):
        home = root / "home" / user
        home.mkdir()
        known["passwd"] += f"{user}:x:{number}:{number}::{home}:/bin/sh\n"
        known["group"] += f"{user}:x:{number}:\n"
        known["shadow"] += f"{user}:{word if user in users else '*'}:20000::::::\n"
        subprocess.run(["chown", f"{number}:{number}", home], check=True)
    known["nsswitch.conf"] = "passwd: files\ngroup: files\nshadow: files\nhosts: files\n"  # no name server to wait for
    for name, text in known.items():
        (root / "etc" / name).write_text(text)
        (root / "etc" / name).chmod(0o600 if name == "shadow" else 0o644)
    (root / "var/mail").chmod(0o1777)
    return root


def make_certificate(folder: Path) -> Path:
    """A new certificate for a day and its key, in one file."""
    folder.mkdir(parents=True, exist_ok=True)
    key, certificate = folder / "key.pem", folder / "site.pem"
    request = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1")
    _openssl(*request, "-subj", "/CN=site.test", "-keyout", str(key), "-out", str(certificate))
    certificate.write_text(key.read_text() + certificate.read_text())
    return certificate


def _openssl(*words: str) -> str:
    done = subprocess.run(
        ["env", "OPENSSL_CONF=/dev/null", *staged("openssl", "openssl", *words)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


class Served:
    """A POP/IMAP server that runs below a root of its own, begun by a shell script, logging to the socket `syslog`.

    `tls` is what its log says of a login in clear, by STARTTLS and by TLS (None: nothing); `ends`, that it logs the
    ends of sessions in a way that names their beginning.
    """

    name: str
    tls: ClassVar[dict[str, bool | None]] = {"plain": None}
    ends = True
    ipv6 = True
    daemons: ClassVar[tuple[str, ...]] = ()
    """The accounts that it runs under."""

    def __init__(self, place: Path, syslog: Path) -> None:
        place.mkdir()
        self.place = place
        self.ports = self.choose_ports()
        root = make_root(place, users=("ann",), daemons=self.daemons)
        script = place / "start"
        script.write_text(self.script(root))
        command = staged(self.name, "sh", "-e", script, syslog=syslog, root=root)
        self._running = Running(self.name, command, output=place / "printed")
        self._running.ready(lambda: all(map(listening, self.ports.values())))

    def choose_ports(self) -> dict[str, int]:
        """`pop3`, `imap`, `pop3s` and `imaps`, as far as it speaks them."""
        return dict(zip(("pop3", "imap", "pop3s", "imaps"), free_ports(4), strict=True))

    def script(self, root: Path) -> str:
        """What begins it; it may go into the background."""
        raise NotImplementedError

    def stop(self) -> None:
        self._running.kill()
