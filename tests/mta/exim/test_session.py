from __future__ import annotations

from pathlib import Path

from poprelay.mta.exim.session import Step, read

REPLIES = """
**** SMTP testing session as if from host 192.0.2.254

220 mx ESMTP Exim 4.96
250 mx Hello client.example.com [192.0.2.254]
250 OK
550 relay not permitted
221 mx closing connection
"""
TRACE = """\
>>> using ACL "acl_check_mail"
>>> processing "accept" (/etc/exim.conf 3)
>>> end of ACL "acl_check_mail": ACCEPT
>>> using ACL "acl_check_rcpt"
>>> processing "deny" (/etc/exim.conf 10)
>>> check !acl = exceptions
>>>  using ACL "exceptions"
>>>  processing "accept" (/etc/exim.conf 20)
>>>  end of ACL "exceptions": implicit DENY
>>> deny: condition test failed in ACL "acl_check_rcpt"
>>> processing "require" (/etc/exim.conf 14)
>>> check domains = +local_domains
>>> require: condition test failed in ACL "acl_check_rcpt"
>>> end of ACL "acl_check_rcpt": not OK
>>> using ACL "acl_check_not"
"""


def test_the_statements_of_the_list_itself_are_the_steps() -> None:
    session = read(REPLIES, TRACE, "acl_check_rcpt")
    file = Path("/etc/exim.conf")
    assert session.steps == (Step("deny", file, 10), Step("require", file, 14))
    assert (session.ended, "exceptions" in session.trace, "acl_check_mail" in session.trace) == ("not OK", True, False)


def test_what_is_said_to_each_command_is_told_apart() -> None:
    session = read(REPLIES, TRACE, "acl_check_rcpt")
    assert (session.greeted, session.accepted, session.said) == (True, False, "550 relay not permitted")
    accepted = read(REPLIES.replace("550 relay not permitted", "250 Accepted"), TRACE, "acl_check_rcpt")
    assert (accepted.accepted, accepted.said) == (True, "250 Accepted")


def test_a_client_that_is_refused_before_has_no_steps() -> None:
    session = read("220 mx\n550 HELO is no name\n", ">>> using ACL x\n", "acl_check_rcpt")
    assert (session.greeted, session.accepted, session.steps, session.said) == (False, False, (), "550 HELO is no name")


def test_an_exim_that_names_no_lines_is_read_as_far_as_it_goes() -> None:
    session = read(REPLIES, '>>> using ACL "rcpt"\n>>> processing "deny"\n>>> end of ACL "rcpt": DENY\n', "rcpt")
    assert session.steps == (Step("deny", Path(), 0),)
