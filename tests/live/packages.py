"""The servers of the live tests: Debian's own packages, unpacked below `.live/`, never installed.

    python tests/live/packages.py            fetch and unpack what is missing; quick and silent when nothing is

Each server has a prefix of its own, so that packages which exclude one another (every MTA brings a `sendmail`) can
stand side by side. apt works on private lists, a private cache and an empty status file: what it resolves does not
depend on what is installed here, and nothing that is installed is touched. Libraries come along, all but those that
every Debian has (Essential, and what that needs): the C library must be the running one. `staged` runs a program of a
prefix as if it were installed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

SERVERS: Final[dict[str, tuple[str, ...]]] = {
    "postfix": ("postfix", "postfix-lmdb", "postfix-cdb", "postfix-sqlite"),
    "dovecot": ("dovecot-pop3d", "dovecot-imapd"),
    "rsyslog": ("rsyslog",),
    "sendmail": ("sendmail-bin", "sendmail-cf", "m4"),
    "iproute2": ("iproute2",),
    "systemd": ("systemd",),
    "openssl": ("openssl",),
    "courier": ("courier-imap", "courier-pop"),
    "cyrus": ("cyrus-imapd", "cyrus-pop3d", "sasl2-bin"),
    "popa3d": ("popa3d",),
    "solid-pop3d": ("solid-pop3d",),
    "perdition": ("perdition",),
    "nginx": ("nginx", "libnginx-mod-mail"),
    "exim": ("exim4-daemon-heavy", "exim4-base"),
    "opensmtpd": ("opensmtpd", "opensmtpd-extras"),
    "courier-esmtp": ("courier-mta", "courier-base", "courier-authlib"),
    "tcpserver": ("ucspi-tcp-ipv6",),
    "prometheus": ("prometheus",),
}
"""Prefix and packages. One more server is one more line."""

LIVE: Final = Path(__file__).parents[2] / ".live"

_EVERYWHERE = ("apt", "usr-is-merged")
"""On every Debian 12 that has apt, beside what is Essential."""


class PackagesError(Exception):
    """Packages could not be had; the text says why, in one or a few lines."""


def missing() -> list[str]:
    """The servers that are not unpacked, or not as the table wants them now."""
    return [name for name in SERVERS if not _stands(name)]


def prefix(name: str) -> Path:
    """Where `name` is unpacked."""
    if not _stands(name):
        raise PackagesError(f"{name} is not unpacked: run `make setup`")
    return LIVE / name


def staged(name: str, *command: str | Path, syslog: Path | None = None, root: Path | None = None) -> list[str]:
    """The command line that runs `command` with the packages of `name` laid over /usr, for it and its children.

    The process is `command` itself in the end (its pid is what the caller started), it gets SIGTERM when the caller
    dies (Postfix's master does not: it changes its user, which clears that), and `/dev/log` is the socket `syslog`, if
    given. With a `root`, the packages' /etc, /run and /var are there too, what `root/etc` and so on hold lies over
    them, and what is written there stays there; processes that leave their group then die with the first one, which is
    not the command but waits for it. Nothing outside its own namespaces sees any of this.
    """
    stage = ["setpriv", "--pdeathsig", "TERM", "unshare", "--mount", "--propagation", "private"]
    if root is not None:
        stage += ["--pid", "--fork", "--kill-child", "--mount-proc"]
    places = [str(prefix(name)), str(syslog or ""), str(root or "")]
    return [*stage, "sh", "-euc", _STAGE, "stage", *places, *map(str, command)]


_STAGE = """
mount -t overlay overlay -o "lowerdir=$1/usr:/usr" /usr
if [ -n "$2" ]; then
    mount -t tmpfs tmpfs /media
    for node in null zero full random urandom tty; do : >"/media/$node"; mount --bind "/dev/$node" "/media/$node"; done
    ln -s "$2" /media/log
    mount --rbind /media /dev
fi
if [ -n "$3" ]; then
    for top in etc run var; do
        mkdir -p "$3/$top" "$3/.work/$top"
        below="/$top"
        if [ -d "$1/$top" ]; then below="$1/$top:/$top"; fi
        mount -t overlay overlay -o "lowerdir=$below,upperdir=$3/$top,workdir=$3/.work/$top" "/$top"
    done
    shift 3
    "$@"
    wait
    exec sleep infinity
fi
shift 3
exec "$@"
"""


def provide(names: Sequence[str]) -> None:
    """Fetch and unpack `names`, and say so."""
    for tool in ("apt-get", "apt-cache", "dpkg", "dpkg-query"):
        if shutil.which(tool) is None:
            raise PackagesError(f"there is no {tool} here; the servers of the live tests come from Debian's packages")
    with tempfile.TemporaryDirectory(prefix="apt-", dir=LIVE) as private:
        apt = _Apt(Path(private))
        print("live tests: reading Debian's package lists", flush=True)
        apt.update()
        everywhere = apt.closure([*_essential(), *_EVERYWHERE])
        for name in names:
            _unpack(apt, name, everywhere)


def main() -> int:
    """Provide what is missing; where live tests cannot run anyway, that is no failure outside CI."""
    LIVE.mkdir(exist_ok=True)
    with _alone():
        wanted = missing()
        try:
            if wanted:
                provide(wanted)
        except PackagesError as error:
            print(f"live tests: {error}", file=sys.stderr)
            if os.geteuid() == 0 or os.environ.get("CI") == "true":
                return 1
            print("live tests: they need root too, and will be listed as not run", file=sys.stderr)
    return 0


class _Apt:
    """apt with everything of its own below `top`."""

    def __init__(self, top: Path) -> None:
        for folder in ("lists/partial", "cache/archives/partial", "debs"):
            (top / folder).mkdir(parents=True)
        (top / "status").touch()
        config = top / "apt.conf"
        config.write_text(
            f'Dir::State "{top}"; Dir::State::status "{top}/status"; Dir::State::lists "{top}/lists";\n'
            f'Dir::Cache "{top}/cache"; Dir::Log "{top}";\n'
            'APT::Sandbox::User "root"; APT::Install-Recommends "false";\n'
            'Acquire::Retries "3"; Acquire::Languages "none";\n'
        )
        self.debs = top / "debs"
        self._env = {**os.environ, "APT_CONFIG": str(config), "LC_ALL": "C"}

    def update(self) -> None:
        self._run("apt-get", "-qq", "update")

    def closure(self, packages: Sequence[str]) -> dict[str, str]:
        """`packages` and all that they depend on, each with its version."""
        out = self._run("apt-get", "-qq", "--simulate", "install", *packages)
        chosen: dict[str, str] = {}
        for line in out.splitlines():  # Inst postfix (3.7.11-0+deb12u1 Debian:12.11/stable [amd64])
            if line.startswith("Inst "):
                package, version = line.split()[1:3]
                chosen[package] = version.lstrip("(")
        return chosen

    def download(self, packages: dict[str, str]) -> list[Path]:
        before = set(self.debs.iterdir())
        self._run("apt-get", "-qq", "download", *(f"{package}={version}" for package, version in packages.items()))
        return sorted(set(self.debs.iterdir()) - before)

    def _run(self, *command: str) -> str:
        done = subprocess.run(command, env=self._env, cwd=self.debs, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            said = "\n  ".join(done.stderr.strip().splitlines()[-6:]) or "(silence)"
            raise PackagesError(
                f"`{' '.join(command[:4])} …` failed; is there a network? are apt's sources right?\n  {said}"
            )
        return done.stdout


def _essential() -> list[str]:
    out = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Essential} ${Package}\n"], capture_output=True, text=True, check=True
    ).stdout
    return [line.split()[1] for line in out.splitlines() if line.startswith("yes ")]


def _unpack(apt: _Apt, name: str, everywhere: dict[str, str]) -> None:
    wanted = {
        package: version
        for package, version in apt.closure(SERVERS[name]).items()
        if package in SERVERS[name] or (package not in everywhere and package.startswith(("lib", name)))
    }
    versions = ", ".join(f"{package} {wanted[package]}" for package in SERVERS[name])
    print(f"live tests: unpacking {versions} and {len(wanted) - len(SERVERS[name])} more", flush=True)
    _stamp(name).unlink(missing_ok=True)
    shutil.rmtree(LIVE / name, ignore_errors=True)
    for deb in apt.download(wanted):
        subprocess.run(["dpkg", "-x", deb, LIVE / name], check=True)
        deb.unlink()
    for top in ("bin", "lib", "sbin"):  # as on every Debian 12: all below /usr
        if (LIVE / name / top).is_dir():
            shutil.copytree(LIVE / name / top, LIVE / name / "usr" / top, symlinks=True, dirs_exist_ok=True)
            shutil.rmtree(LIVE / name / top)
    _stamp(name).write_text(_order(name))


def _stands(name: str) -> bool:
    stamp = _stamp(name)
    return stamp.is_file() and stamp.read_text() == _order(name)


def _stamp(name: str) -> Path:
    return LIVE / name / "packages"


def _order(name: str) -> str:
    """What a stamp says: the packages that were asked for, and how they are laid out."""
    return "\n".join(("usr", *SERVERS[name], ""))


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    with (LIVE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    sys.exit(main())
