"""Fixtures of the live tests: a network of the test's own, and real servers in it.

Without root, or without what the servers need, these tests are listed as not run; in CI (`CI=true`) one that did not
run is a failure.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import pytest

from live import installed, packages
from live.doors import Site
from live.dovecot import HOSTILE, Dovecot
from live.examined import log_in
from live.host import Host
from live.network import Network
from live.rsyslog import Rsyslog

HERE = Path(__file__).parent
IN_CI = os.environ.get("CI") == "true"

USERS = ("ann", "bob", HOSTILE)


@cache
def why_not() -> str:
    """Why live tests cannot run here, or nothing."""
    if os.geteuid() != 0:
        return "live tests start servers in namespaces of their own, which needs root"
    if missing := packages.missing():
        return f"not unpacked: {', '.join(missing)}; run `make setup`"
    if shutil.which("unshare") is None or shutil.which("setpriv") is None:
        return "there is no unshare(1) or setpriv(1) here, both of util-linux"
    stage = ["unshare", "--net", *packages.staged("iproute2", "ip", "link")]
    if (tried := subprocess.run(stage, capture_output=True, text=True, check=False)).returncode != 0:
        return f"this machine does not let root make namespaces and mounts: {tried.stderr.strip()}"
    return ""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.live)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if reason := why_not():
        pytest.skip(reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if IN_CI and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} did not run, and this is CI: {report.longrepr}"
    return report


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder with a short path (a unix socket's is at most 107 bytes) that the servers' own accounts can enter.

    What the servers wrote is shown beside a failure.
    """
    with tempfile.TemporaryDirectory(prefix="live-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
        for log in sorted(folder.glob("*/*")):
            if log.name in ("log", "maillog", "printed") or log.suffix == ".log":
                print(f"--- {log.relative_to(folder)}", *log.read_text(errors="replace").splitlines()[-60:], sep="\n")


@pytest.fixture
def network() -> Iterator[Network]:
    """This test's own two hosts: what it starts is at the site; clients are in the world."""
    with Network() as network:
        yield network


@pytest.fixture
def stopping() -> Iterator[ExitStack]:
    """What the test has started, to be stopped in the end, the last first."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def rsyslog(place: Path, network: Network, stopping: ExitStack) -> Rsyslog:
    rsyslog = Rsyslog(place / "rsyslog")
    stopping.callback(rsyslog.stop)
    return rsyslog


@pytest.fixture
def dovecot(place: Path, network: Network, stopping: ExitStack) -> Dovecot:
    """Dovecot that logs to a file of its own."""
    dovecot = Dovecot(place / "dovecot", USERS)
    stopping.callback(dovecot.stop)
    return dovecot


@pytest.fixture(params=["own", "traditional", "iso"])
def logged(request: pytest.FixtureRequest, place: Path, stopping: ExitStack) -> tuple[Dovecot, Path]:
    """Dovecot, and the log that it makes: its own file, or by syslog in one of two forms."""
    if request.param == "own":
        own: Dovecot = request.getfixturevalue("dovecot")
        return own, own.log
    rsyslog: Rsyslog = request.getfixturevalue("rsyslog")
    dovecot = Dovecot(place / "dovecot", USERS, syslog=rsyslog.socket)
    stopping.callback(dovecot.stop)
    return dovecot, rsyslog.traditional if request.param == "traditional" else rsyslog.iso


@pytest.fixture
def site(place: Path, network: Network, stopping: ExitStack) -> Site:
    """Postfix with all doors, and poprelay; both begin when the test says so."""
    return Site(place, network, stopping)


@pytest.fixture
def host(place: Path, network: Network, stopping: ExitStack) -> Host:
    """A host with Debian's own Postfix, started, and a mail log in which somebody has logged in."""
    host = installed.postfix(place / "host")
    stopping.callback(host.stop)
    log_in(host)
    return host
