"""gnu-pop3d 0.9: `User ann logged in with mailbox /var/spool/mail/ann from 192.0.2.7`.

Later versions, and GNU mailutils that came of it, log no address with a login: nobody can say who it was from where,
and they grant nothing. The address is the last word of the message: a long name in front of it, with which a syslog
daemon may have cut it, grants nothing.
"""

from __future__ import annotations

from poprelay.agents.base import Agent


class GnuPop3d(Agent):
    """gnu-pop3d."""

    name = "gnu-pop3d"
    versions = "gnu-pop3d 0.9.8, as published"
    needs = "A build that logs the client's address: most do not, and grant nothing."
    program = "gnu-pop3d"
    pid_is_session = True
    login = r"User (?P<user>[^\s]{1,64}+) logged in with mailbox [^\s]{1,100}+ from (?P<address>[0-9a-fA-F.:]++)$"
    resembles = r"User .* logged in with mailbox "
    login_needles = (" logged in with mailbox ",)
