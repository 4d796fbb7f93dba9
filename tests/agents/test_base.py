from __future__ import annotations

import pytest

from poprelay.agents.base import Agent
from poprelay.errors import AgentError
from poprelay.model import Login

from .conftest import Scan


class FourLines(Agent):
    name = "vpop3d"
    program = "vpop3d"
    login = r"\((?P<user>[^,()\s]+),(?P<address>[0-9a-fA-F.:]+)\) Authenticated"


def test_an_agent_of_four_lines_works(scan: Scan) -> None:
    (event,) = scan([FourLines()], ["Apr 23 16:26:11 mx vpop3d[7]: (ann,::ffff:192.0.2.7) Authenticated"])
    assert isinstance(event, Login)
    assert (event.user, event.address, event.service, event.tls, event.session) == (
        "ann",
        "192.0.2.7",
        "pop3",
        None,
        None,
    )
    assert (event.agent, event.origin.host, event.origin.source) == ("vpop3d", "mx", "log")


def test_an_operator_gives_an_agent_as_data(scan: Scan) -> None:
    ours = Agent(
        name="oursite",
        program="popd",
        login=r"login ok user=(?P<user>[^ ]+) from=(?P<address>[0-9a-fA-F.:]+)",
        service="imap",
    )
    events = scan([ours], ["Apr 23 16:26:11 mx popd: login ok user=ann from=2001:DB8::7 in 3 ms"])
    assert [(event.user, event.address, event.service) for event in events] == [("ann", "2001:db8::7", "imap")]


def test_a_pattern_is_anchored_at_the_start_of_the_message(scan: Scan) -> None:
    assert not scan([FourLines()], ["Apr 23 16:26:11 mx vpop3d: x (ann,192.0.2.7) Authenticated"])


def test_what_is_no_address_is_no_login(scan: Scan) -> None:
    for text in ("192.0.2", "192.0.2.256", "192.0.2.07", "1", "::", "::1::", "dead.beef"):
        events = scan([FourLines()], [f"Apr 23 16:26:11 mx vpop3d: (ann,{text}) Authenticated"])
        assert [event.address for event in events] == (["::"] if text == "::" else [])


def test_a_login_to_another_service_is_none(scan: Scan) -> None:
    agent = Agent(name="a", program="d", login=r"(?P<service>\w+) login (?P<user>\S+) (?P<address>\S+)$")
    lines = [f"Apr 23 16:26:11 mx d: {word} login ann 192.0.2.7" for word in ("smtp", "IMAPS", "sieve", "pop3")]
    assert [event.service for event in scan([agent], lines)] == ["imap", "pop3"]


def test_a_table_says_the_service(scan: Scan) -> None:
    agent = Agent(
        name="a",
        program="d",
        login=r"port (?P<service>\d+) login (?P<user>\S+) (?P<address>\S+)$",
        service={"143": "imap", "110": "pop3", "25": "smtp"},
    )
    lines = [f"Apr 23 16:26:11 mx d: port {port} login ann 192.0.2.7" for port in (25, 110, 143, 4190)]
    assert [event.service for event in scan([agent], lines)] == ["pop3", "imap"]


def test_a_user_name_that_is_not_utf8_keeps_its_bytes(scan: Scan) -> None:
    (event,) = scan([FourLines()], ["Apr 23 16:26:11 mx vpop3d: (j\udcf6rg,192.0.2.7) Authenticated"])
    assert event.user is not None
    assert event.user.encode("utf-8", "surrogateescape") == b"j\xf6rg"


def test_a_hook_turns_what_the_server_says_into_tls(scan: Scan) -> None:
    class Plain(Agent):
        name = "plain"
        program = "d"
        login = r"login (?P<user>\S+) (?P<address>\S+) (?P<tls>ssl|plain)$"

        def tls(self, said: str | None) -> bool | None:
            return said == "ssl"

    lines = [f"Apr 23 16:26:11 mx d: login ann 192.0.2.7 {word}" for word in ("ssl", "plain")]
    assert [event.tls for event in scan([Plain()], lines) if isinstance(event, Login)] == [True, False]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"name": ""}, "has no name"),
        ({"program": ""}, "has no program"),
        ({"program": ()}, "has no program"),
        ({"login": ""}, "has no login"),
        ({"login": r"(?P<user>\S+)"}, "no group 'address': write (?P<address>[0-9a-fA-F.:]+)"),
        ({"login": r"(?P<user>\S+) (?P<adress>\S+)"}, "'adress': did you mean 'address'?"),
        ({"login": r"(?P<user>\S+) (?P<address>\S+"}, "no regular expression at character 15: missing )"),
        ({"login": r"gr\u00fc(?P<user>\S+) (?P<address>\S+)"}, "no regular expression at character 3"),
        ({"login": r"grü(?P<user>\S+) (?P<address>\S+)"}, "'ü' at character 3: write the bytes"),
        ({"logout": "bye (?P<name>.*)"}, "logout pattern names a group 'name'"),
        ({"service": "smtp"}, "'smtp' is neither pop3 nor imap"),
    ],
)
def test_a_wrong_agent_says_what_is_wrong_and_what_to_do(fields: dict[str, str], words: str) -> None:
    given = {"name": "mine", "program": "d", "login": r"(?P<user>\S+) (?P<address>\S+)", **fields}
    with pytest.raises(AgentError) as refused:
        Agent(**given)
    assert words in str(refused.value)
