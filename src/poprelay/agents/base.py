"""What every agent is: data that says how one POP/IMAP server writes 'login' and 'logout'.

    >>> class VPop3d(Agent):
    ...     name = "vpop3d"
    ...     program = "vpop3d"
    ...     login = r"\\((?P<user>[^,()\\s]+),(?P<address>[0-9a-fA-F.:]+)\\) Authenticated$"
    >>> VPop3d().login_patterns[0].match(b"(ann,192.0.2.7) Authenticated")["user"]
    b'ann'

An agent sees whole messages of its own program, and nothing else: the engine splits the log into lines, reads the
header, and compares the program exactly. What a client can choose (its user name above all) is never trusted to be free
of the text that follows it: a pattern says all of the message, to its end.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from poprelay.agents.patterns import GROUPS, compiled
from poprelay.errors import AgentError

SERVICES: Final = {
    "pop3": "pop3",
    "pop3s": "pop3",
    "pop": "pop3",
    "imap": "imap",
    "imaps": "imap",
    "imap4": "imap",
}
"""What counts as POP3 or IMAP, whatever the case. A login to anything else grants nothing."""

UNCUT: Final = r"(?!.{700})"
"""Begins a pattern of a message whose name may hold anything, and whose address, or what tells a success, stands behind
it: cut within that name, it would end as a client likes. So it must be shorter than what syslog daemons cut, which is
1024 bytes with the header at the least."""


class Agent:
    """How one server says login and logout. Subclass it, or give the same names to the constructor.

    Patterns (see `poprelay.agents.patterns`) have the groups `user` and `address`, and, where the server says it,
    `service`, `tls` and `session`. Raises AgentError if a pattern is wrong or something required is missing.
    """

    name: str = ""
    """What the config, logs and events call it."""
    program: str | tuple[str, ...] = ()
    """The exact syslog tags that its messages carry. "" stands for a log of the server's own, without host and tag;
    `*/imap` for any tag that ends in `/imap` with something before it (Cyrus' `syslog_prefix`)."""
    login: str | tuple[str, ...] = ()
    """Messages that are a successful login. Several are tried in order."""
    logout: str | tuple[str, ...] = ()
    """Messages that end a session."""
    connect: str | tuple[str, ...] = ()
    """Messages that begin a session and say what the login behind them does not: `address`, or `user`. A login is then
    joined to the last of these of the same host, program and process (see `poprelay.scan.sessions`), and its pattern
    may lack what they say. A login that says it, too, counts if it says the same."""
    ends: str | tuple[str, ...] = ()
    """Messages after which a login needs a new `connect`: failures, and the ends that are no `logout`."""
    connect_lasts: float = 600.0
    """Seconds between a `connect` and its login at most, by the log's own time: how long the server waits for one."""
    columns: tuple[str, ...] = ()
    """For a log of rows whose columns a line `#Fields: ...` names: the columns that make up a message, in this order,
    with a tab between them. A row that lacks one of them is no message."""
    service: str | Mapping[str, str] = "pop3"
    """pop3 or imap. If that varies: a table from what the group `service` shows, or, where it shows nothing, from the
    program."""
    secure_programs: tuple[str, ...] = ()
    """Those of the programs all of whose sessions are encrypted, for patterns that have a group `tls`."""
    pid_is_session: bool = False
    """One process serves one session, so that its process id joins a logout to its login."""
    accounts: tuple[str, ...] = ()
    """System accounts that are this server's alone, and that its lines come from: they and root count in a journal."""
    units: tuple[str, ...] = ()
    """systemd units that are this server's alone, where its lines come from accounts that are not."""
    versions: str = ""
    """For the documentation: the versions of the server whose lines these are."""
    needs: str = ""
    """For the documentation: what must be switched on, or left alone, in the server."""
    unsafe: str = ""
    """For the documentation: what in the server, or in how it is set up, can mislead whoever reads its log, and what to
    do about it. Empty: nothing is known."""
    raw_names: bool | None = None
    """Whether the server logs control characters of a user name as they are (None: not known), so that it takes a
    syslog daemon which does not escape them for a client to begin a line of its own."""
    resembles: str = ""
    """How messages begin that are a login if any is; those which no pattern takes are reported as near misses. Without
    it, a near miss is any message of the program that has one of the needles of its logins."""
    login_needles: tuple[str, ...] = ()
    """Literal texts, one of which is in every line that `login` takes. Empty: found from the patterns."""
    logout_needles: tuple[str, ...] = ()
    """The same for `logout`."""
    whole_line: ClassVar[bool] = False
    """Whether `login` is matched against whole lines, header and all, of whatever program: see `agents.line`."""

    def __init__(
        self,
        *,
        name: str | None = None,
        program: str | tuple[str, ...] | None = None,
        login: str | tuple[str, ...] | None = None,
        logout: str | tuple[str, ...] | None = None,
        service: str | Mapping[str, str] | None = None,
    ) -> None:
        if name is not None:
            self.name = name
        if program is not None:
            self.program = program
        if login is not None:
            self.login = login
        if logout is not None:
            self.logout = logout
        if service is not None:
            self.service = service
        self._require()
        self.programs: Final = _several(self.program)
        self.connect_patterns: Final = tuple(compiled(self.name, "connect", text) for text in _several(self.connect))
        needs = () if self.connect_patterns else GROUPS[:2]
        self.login_patterns: Final = tuple(compiled(self.name, "login", text, needs) for text in _several(self.login))
        self.end_patterns: Final = tuple(compiled(self.name, "ends", text) for text in _several(self.ends))
        self.logout_patterns: Final = tuple(compiled(self.name, "logout", text) for text in _several(self.logout))
        self.resembling: Final = compiled(self.name, "resembles", self.resembles) if self.resembles else None

    def tls(self, said: str | None) -> bool | None:
        """Whether the session was encrypted, from what the pattern's group `tls` took (None: nothing).

        Asked only if the pattern has that group; must depend on `said` alone. True if it took something, else unknown.
        """
        return True if said else None

    def service_of(self, said: str | None, program: str) -> str | None:
        """pop3 or imap, from what the group `service` took (None: nothing, or no such group) and from the program.

        Of a program like `*/imap` it is what follows the slash.
        """
        if isinstance(self.service, str):
            return SERVICES.get((said or self.service).lower())
        told = said if said is not None else program
        return SERVICES.get(self.service.get(told, told).lower())

    def _require(self) -> None:
        kind = self.name or type(self).__name__
        for field, remedy in (
            ("name", "give it one, for the config to name it by"),
            ("program", "give the syslog tag that the server's lines carry, such as 'dovecot'"),
            ("login", "give the pattern of a successful login"),
        ):
            if not _several(getattr(self, field)):
                raise AgentError(f"agent {kind} has no {field}", remedy=remedy, agent=kind)
        if isinstance(self.service, str) and self.service.lower() not in SERVICES:
            raise AgentError(f"agent {kind}: service {self.service!r} is neither pop3 nor imap", agent=kind)

    def __repr__(self) -> str:
        return f"<agent {self.name}>"


def _several(texts: str | tuple[str, ...]) -> tuple[str, ...]:
    """One or more as a tuple; an empty text alone is none."""
    if isinstance(texts, str):
        return (texts,) if texts else ()
    return tuple(texts)
