"""What scanning is measured against: ripgrep, fail2ban-regex, pop-before-smtp's way, Perl with one expression, wc.

Debian's packages are unpacked below `.live/`, as for the live tests; one that cannot be had is left out, and it is said
why. A peer that Debian lacks is timed by a loop which does the same work, and which is printed.
"""

from __future__ import annotations

import os
import shutil
import sys
from importlib import import_module
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]

EXPRESSIONS: Final = r"""
dovecot(\[\d+\])?: (imap|pop3)-login: (Info: )?(Login|Logged in): user=<.*>, .*rip=[0-9a-fA-F.:]+, lip=
dovecot(\[\d+\])?: (imap|pop3)-login: proxy\(.*\): [Ss]tarted proxying to .* rip=[0-9a-fA-F.:]+
(imapd|pop3d|imapd-ssl|pop3d-ssl|imaplogin|courierpop3login): LOGIN, user=.*, ip=\[[0-9a-fA-F.:]+\]
/(imap|pop3|imaps|pop3s)\[\d+\]: login: .*\[[0-9a-fA-F.:]+\] \S+ \S+ User logged in
(ipop3d|imapd)\[\d+\]: (Login|Auth|APOP|Authenticated) user=.* host=.*\[[0-9a-fA-F.:]+\]
popper\[\d+\]: .*POP login by user ".*" at \(.*\) [0-9a-fA-F.:]+
vpop3d(\[\d+\])?: \(.*,[0-9a-fA-F.:]+\) Authenticated
vpopmail\[\d+\]: vchkpw-(pop3|imap)s?: \(.*\) login success .*:[0-9a-fA-F.:]+$
popa3d\[\d+\]: Authentication passed for \S+
spop3d(\[\d+\])?: user .* authenticated - .*[0-9a-fA-F.:]+
tpop3d\[\d+\]: fork_child: \[\d+\].*\([0-9a-fA-F.:]+\): began session for
vm-pop3d\[\d+\]: User '.*' logged in from [0-9a-fA-F.:]+
teapop\[\d+\]: Successful login for .* from .*\[[0-9a-fA-F.:]+\]
gnu-pop3d\[\d+\]: User .* logged in with mailbox
cucipop\[\d+\]: .* [0-9a-fA-F.:]+ .*, \d+
perdition.*: Auth: [0-9a-fA-F.:]+->.* user=".*" .*status="ok"
imapproxyd\[\d+\]: LOGIN: '.*' \([0-9a-fA-F.:]+:\d+\) on (new|existing) sd
client logged in, client: [0-9a-fA-F.:]+.*, server: .*, login: ".*"
dbmail/imap4d\[\d+\]: .*login accepted: id \[\d+\] user \[.*\] from \[[0-9a-fA-F.:]+
oip=[0-9a-fA-F.:]+;.*imap - user .* authenticated
(IMAP|POP) User ".*" log on successful from [0-9.]+
,(login|authenticate|pass),.*R=(OK|ok)
SENT: .* OK LOGIN completed
"LOGIN"
""".lstrip()
"""The login lines of the servers that there are agents for, as one would look for them with ripgrep."""

PERL: Final = r"while (<>) { m/.+user=(\w+) host=.*\[(\d+\.\d+\.\d+\.\d+)\] nmsgs=/ and $n++ }"
"""Mail::POPRelay's own expression for ipop3d, and nothing done with it."""

POP_BEFORE_SMTP: Final = r"""
use File::Tail;
use Date::Parse;
my $pat = '^(... .. ..:..:..) \S+ (?:dovecot: )?(?:imap|pop3)-login: (?:Login|Logged in): .*? ' .
          '(?:rip=|\[)(?:::ffff:)?(\d+\.\d+\.\d+\.\d+)[],]';
my (%seen, @queue);
my $file = File::Tail->new(name => $ARGV[0], tail => -1, interval => 0.01, maxinterval => 0.01);
while (1) {
    my ($found, $left, @pending) = File::Tail::select(undef, undef, undef, 0.05, $file);
    last unless @pending;
    my $line = $pending[0]->read;
    my ($stamp, $address) = ($line =~ /$pat/o) or next;
    my $at = str2time($stamp) or next;
    push @queue, [$address, $at];
    $seen{$address} = $at;
}
""".lstrip()
"""What pop-before-smtp does for each line: wait, take it, match it, read its time, keep its address."""

FAIL2BAN: Final = r"^\s*\S+ dovecot: (?:imap|pop3)-login: Login: user=<[^>]*>, method=\S+, rip=<HOST>, "
"""One expression, in fail2ban's way."""


def ripgrep() -> tuple[str, ...]:
    """The command that counts the login lines of all servers; empty if there is no ripgrep."""
    program = shutil.which("rg") or _unpacked("ripgrep", "usr/bin/rg")
    if program is None:
        return ()
    file = ROOT / ".live" / "expressions.txt"
    file.write_text(EXPRESSIONS)
    return (str(program), "-j1", "-c", "-f", str(file))


def fail2ban() -> tuple[str, ...]:
    """The command that tries one expression on a log, which comes before the last word; empty if there is none."""
    program = shutil.which("fail2ban-regex") or _unpacked("fail2ban", "usr/bin/fail2ban-regex")
    if program is None or not Path("/usr/bin/python3").exists():
        return ()
    os.environ["PYTHONPATH"] = str(Path(program).parents[1] / "lib/python3/dist-packages")
    return ("/usr/bin/python3", str(program))


def pop_before_smtp() -> tuple[str, ...]:
    """The command for its loop; empty if there are no File::Tail and Date::Parse for it."""
    modules = _unpacked("file-tail", "usr/share/perl5", "libfile-tail-perl", "libtimedate-perl")
    return () if modules is None else ("perl", f"-I{modules}", "-e", POP_BEFORE_SMTP)


def _unpacked(name: str, path: str, *wanted: str) -> Path | None:
    """What Debian's packages hold, unpacked, not installed; None, with the reason printed, if they cannot be had."""
    sys.path.insert(0, str(ROOT / "tests" / "live"))
    packages = import_module("packages")
    packages.LIVE.mkdir(exist_ok=True)
    packages.SERVERS[name] = wanted or (name,)
    try:
        if name in packages.missing():
            packages.provide([name])
        found: Path = packages.prefix(name) / path
        return found
    except packages.PackagesError as error:
        print(f"{name} is left out: {error}")
        return None
