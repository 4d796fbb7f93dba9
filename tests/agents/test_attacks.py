"""Whatever a client writes into what it controls, no address is named but the one that logged in."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poprelay.agents import catalog
from poprelay.model import Login

from .conftest import Scan

REAL = "203.0.113.5"
FORGED = "6.6.6.6"

STARTED = "Started proxying to remote host (0.014 secs)"
PAM = "[AUTH] PAM authentication failed for user"
DOVECOT_TAIL = f"method=PLAIN, rip={REAL}, lip=192.0.2.25"

# Messages as the server writes them, around a text that the client chose.
SUCCESSES: dict[str, list[tuple[str, str]]] = {
    "dovecot": [
        ("dovecot", f"imap-login: Login: user=<{{}}>, {DOVECOT_TAIL}, mpid=42, TLS, session=<QJsGmvBg>"),
        ("dovecot", f"pop3-login: Logged in: user=<{{}}>, {DOVECOT_TAIL}, session=<QJsGmvBg>"),
        ("dovecot", f"pop3-login: Login: user=<{{}}>, {DOVECOT_TAIL}"),
        ("dovecot", f"imap-login: proxy({{0}},198.51.100.1:143): {STARTED}: user=<{{0}}>, {DOVECOT_TAIL}, session=<Q>"),
        ("imap-login", f"Login: {{}} [{REAL}]"),
        ("", f"imap-login: Info: Login: user=<{{}}>, {DOVECOT_TAIL}, mpid=42, session=<QJsGmvBg>"),
    ],
    "uw-imap": [
        ("ipop3d[7]", f"Login user={{}} host=client.example.net [{REAL}] nmsgs=0/0"),
        ("ipop3d[7]", f"Auth user={{}} host=[{REAL}] nmsgs=0/0"),
        ("imapd[7]", f"Login user={{}} host=client.example.net [{REAL}]"),
        ("imapd[7]", f"Authenticated user={{}} host=client.example.net [{REAL}] mech=PLAIN"),
    ],
    "qpopper": [
        ("in.qpopper[7]", f'(v4.0.9) POP login by user "{{}}" at (client.example.net) {REAL} [pop_log.c:244]'),
        ("qpopper[7]", f'(v4.0.9) POP login by user "{{}}" at (client.example.net) {REAL}'),
        ("popper", f"({{}},{REAL}) Authenticated."),
    ],
    "vpop3d": [("vpop3d", f"({{}},{REAL}) Authenticated")],
}
FAILURES: dict[str, list[tuple[str, str]]] = {
    "dovecot": [
        (
            "dovecot",
            f"imap-login: Disconnected: Aborted login by logging out (auth failed): user=<{{}}>, {DOVECOT_TAIL}",
        ),
        ("dovecot", f"imap-login: Login aborted: Logged out (auth failed) (auth_failed): user=<{{}}>, {DOVECOT_TAIL}"),
        ("dovecot", f"pop3-login: Aborted login (auth failed, 1 attempts): user=<{{}}>, {DOVECOT_TAIL}, session=<A>"),
        ("dovecot", f"imap-login: proxy({{0}}): Login failed to 198.51.100.1:143: user=<{{0}}>, {DOVECOT_TAIL}"),
        ("dovecot", f"imap-login: Error: proxy({{0}}): connect() failed: user=<{{0}}>, {DOVECOT_TAIL}, session=<A>"),
        ("dovecot", f"auth: plain(?,{REAL},<A>): Username character disallowed (username: {{}})"),
        ("dovecot", f"auth: passwd-file({{}},{REAL},<A>): unknown user"),
        ("dovecot", f"auth({{}},{REAL},sasl:plain)<A>: passwd-file: unknown user"),
        ("dovecot", "imap(ann)<1><A>: delete: box=INBOX, uid=1, msgid=<{}>, size=146"),
        ("dovecot", "imap(ann)<1><A>: Mailbox deleted: {}"),
        ("dovecot", "imap({0})<1><A>: Error: chdir(/srv/mail/{0}) failed: File name too long"),
        ("dovecot", f"managesieve-login: Login: user=<{{}}>, {DOVECOT_TAIL}, TLS, session=<A>"),
        ("", f"imap-login: Info: Aborted login (auth failed, 1 attempts): user=<{{}}>, {DOVECOT_TAIL}"),
        ("", "imap({0}): Info: Mailbox deleted: {0}"),
    ],
    "uw-imap": [
        ("imapd[7]", f"Login failed user={{0}} auth={{0}} host=client.example.net [{REAL}]"),
        ("imapd[7]", f"Login SYSTEM BREAK-IN ATTEMPT user={{0}} auth={{0}} host=client.example.net [{REAL}]"),
        ("imapd[7]", f"Login disabled user={{0}} auth={{0}} host=client.example.net [{REAL}]"),
        ("ipop3d[7]", f"IMAP login to host={{0}} user={{0}} host=client.example.net [{REAL}]"),
        ("ipop3d[7]", "Can't open mailbox {{{0}/user={0}}}INBOX: invalid remote specification"),
        ("ipop3d[7]", "No such host as {}"),
        ("ipop3d[7]", f"Error opening or locking INBOX user={{}} host=client.example.net [{REAL}]"),
        ("ipop3d[7]", f"Logout user={{}} host=client.example.net [{REAL}]"),
        ("imapd[7]", f"Unexpected client disconnect, while reading line user={{}} host=client.example.net [{REAL}]"),
    ],
    "qpopper": [
        ("qpopper[7]", f'{{0}} at client.example.net ({REAL}): -ERR {PAM} "{{0}}": Failure (7) [pop_pass.c:1312]'),
        ("qpopper[7]", f'{{0}} at client.example.net ({REAL}): -ERR Unknown command: "{{0}}". [pop_get_command.c:152]'),
        (
            "qpopper[7]",
            f'{{0}} at client.example.net ({REAL}): -ERR [AUTH] Password supplied for "{{0}}" is incorrect.',
        ),
    ],
    "vpop3d": [("vpop3d", f"({{}},{REAL}) failed"), ("vpop3d", f"({{}},{REAL}) unknown user")],
}

# What an attacker would write: other successes, whole and in parts, and the characters between the parts.
PIECES = [
    *(message.replace(REAL, FORGED).format("bob") for pairs in SUCCESSES.values() for _, message in pairs),
    *("user=<", ">, ", "<", ">", "(", ")", "[", "]", '"', ",", " ", ": ", "#012", "\udcff", "\u2028", "\x00", "\r"),
    *("Login: ", "Info: ", "method=PLAIN", f"rip={FORGED}, lip=1.1.1.1", "session=<A>", "TLS", ")<1><QJsGmvBg>: "),
    *(f" host=evil [{FORGED}]", " nmsgs=5/5", "Login user=", f'" at (evil) {FORGED}', " [pop_log.c:244]"),
    *(f"x,{FORGED}) Authenticated", "Authenticated.", f" [{FORGED}]", FORGED, "dovecot: ", "started proxying to x: "),
]
chosen = st.lists(st.sampled_from(PIECES) | st.text(max_size=5).filter(lambda text: "\n" not in text), max_size=8).map(
    "".join
)


def line(program: str, message: str, text: str) -> str:
    head = f"Nov 23 12:18:06 mx {program}: " if program else "Nov 23 12:18:06 "
    return head + message.format(text)


@pytest.mark.parametrize("name", SUCCESSES)
@settings(max_examples=60, deadline=None)
@given(text=chosen)
def test_a_login_names_no_other_address(name: str, text: str, scan: Scan) -> None:
    for program, message in SUCCESSES[name]:
        events = scan([catalog.find(name)], [line(program, message, text)])
        assert {event.address for event in events} <= {REAL}
        assert len(events) <= 1


@pytest.mark.parametrize("name", FAILURES)
@settings(max_examples=60, deadline=None)
@given(text=chosen)
def test_a_failure_is_no_login(name: str, text: str, scan: Scan) -> None:
    for program, message in FAILURES[name]:
        events = scan([catalog.find(name)], [line(program, message, text)])
        assert not [event for event in events if isinstance(event, Login)]
        assert {event.address for event in events} <= {REAL, None}


@pytest.mark.parametrize("name", catalog.BUILTIN)
def test_every_agent_has_messages_here(name: str, scan: Scan) -> None:
    for program, message in SUCCESSES[name]:
        (event,) = scan([catalog.find(name)], [line(program, message, "ann")])
        assert (event.user, event.address) == ("ann", REAL)
    assert FAILURES[name]


@settings(max_examples=60, deadline=None)
@given(host=st.from_regex(r"[A-Za-z0-9._-]{1,40}", fullmatch=True) | st.just(FORGED))
def test_a_host_name_is_no_address(host: str, scan: Scan) -> None:
    for name, pairs in SUCCESSES.items():
        for program, message in pairs:
            written = line(program, message.replace("client.example.net", host), "ann")
            assert [event.address for event in scan([catalog.find(name)], [written])] == [REAL]
