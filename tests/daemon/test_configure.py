from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from importlib.metadata import EntryPoint
from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poprelay.agents import catalog
from poprelay.config.load import Document
from poprelay.config.section import Section
from poprelay.daemon import kinds
from poprelay.daemon.configure import (
    Config,
    build_config,
    default_config,
    read_config,
    read_own_agents,
)
from poprelay.daemon.terms import rules_of, terms_of
from poprelay.errors import ConfigError
from poprelay.ledger.rules import RuleTerms, Surroundings
from poprelay.ledger.terms import Terms
from poprelay.model import Address

RELAY = '[relay]\nperiod = "30m"\n'
SOURCE = '[[sources]]\nkind = "file"\npath = "/var/log/mail.log"\nagents = ["dovecot"]\n'
SERVICE = '[[services]]\nkind = "policy"\nlisten = "inet:127.0.0.1:10027"\n'
OWN = """
[[agents]]
name = "oursite"
program = ["popd", "popsd"]
login = '''login ok user=(?P<user>[^ ]+) from=(?P<address>[0-9a-fA-F.:]+) id=(?P<session>[^ ]+)$'''
logout = '''logged out id=(?P<session>[^ ]+)$'''
service = "imap"
"""

Read = Callable[[str], Config]


class Elsewhere:
    """A map that somebody else wrote: its `path` is not that of a file."""

    expresses_networks = True
    wants_renewals = False
    interval = 0.0

    def __init__(self, path: str) -> None:
        self.name = f"elsewhere {path}"

    @classmethod
    def from_section(cls, section: Section) -> Elsewhere:
        return cls(section.text("path"))


@pytest.fixture
def config_file(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        file = tmp_path / "poprelay.toml"
        file.write_text(text, "utf-8")
        file.chmod(0o644)
        return file

    return write


@pytest.fixture
def read(config_file: Callable[[str], Path]) -> Read:
    return lambda text: read_config(config_file(text))


@pytest.fixture
def _elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("elsewhere", f"{__name__}:Elsewhere", "poprelay.maps")
    monkeypatch.setattr(kinds, "_others", lambda role: (point,) if role == "map" else ())


def problems(read: Read, text: str) -> list[str]:
    with pytest.raises(ConfigError) as error:
        read(text)
    return list(error.value.problems)


def test_every_part_is_built_but_touches_nothing(read: Read, tmp_path: Path) -> None:
    config = read(
        f'{RELAY}[[sources]]\nkind = "file"\npath = "{tmp_path}/log"\nagents = ["dovecot"]\n'
        f'[[maps]]\nkind = "lmdb"\npath = "{tmp_path}/relay.lmdb"\n'
        f'[[services]]\nkind = "socketmap"\nlisten = "unix:{tmp_path}/socketmap"\n'
    )
    assert [part.name for part in (*config.sources, *config.maps, *config.services)] == [
        part.object.name for part in (*config.sources, *config.maps, *config.services)
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["poprelay.toml"]


def test_a_part_keeps_its_table_as_it_was_written_beside_it(read: Read) -> None:
    (part,) = read(RELAY + SOURCE + SERVICE).services
    assert (part.role, part.number, part.kind) == ("service", 0, "policy")
    assert part.spec == {"kind": "policy", "listen": "inet:127.0.0.1:10027"}


def test_the_same_text_gives_equal_specs_and_a_changed_key_another_one(read: Read) -> None:
    once, again = read(RELAY + SOURCE + SERVICE), read(RELAY + "require_tls = true\n" + SOURCE + SERVICE)
    assert once.sources[0].spec == again.sources[0].spec
    assert once.services[0].spec == again.services[0].spec
    assert read(RELAY + SOURCE + 'hosts = ["imap1"]\n').sources[0].spec != once.sources[0].spec


def test_a_source_changes_when_its_own_agent_is_defined_anew(read: Read) -> None:
    source = SOURCE.replace("dovecot", "oursite")
    before, after = read(RELAY + source + OWN), read(RELAY + source + OWN.replace("login ok", "login fine"))
    assert before.sources[0].spec != after.sources[0].spec
    assert before.sources[0].spec == read(RELAY + source + OWN).sources[0].spec


def test_a_source_has_the_agents_that_it_names_in_that_order(read: Read) -> None:
    config = read(RELAY + SOURCE.replace('"dovecot"', '"uw-imap", "oursite", "dovecot"') + OWN)
    assert [agent.name for agent in config.sources[0].agents] == ["uw-imap", "oursite", "dovecot"]


def test_the_operators_own_agent_sees_its_logins(read: Read) -> None:
    config = read(RELAY + SOURCE.replace("dovecot", "oursite") + OWN)
    (agent,) = config.sources[0].agents
    match = agent.login_patterns[0].match(b"login ok user=ann from=9.9.9.9 id=k1")
    assert match is not None
    assert (match["user"], match["address"], match["session"]) == (b"ann", b"9.9.9.9", b"k1")
    assert agent.programs == ("popd", "popsd")
    assert agent.service_of(None, "popd") == "imap"


def test_a_wrong_agent_of_ones_own_is_told_once_however_many_sources_name_it(read: Read) -> None:
    source = SOURCE.replace("dovecot", "oursite")
    told = problems(read, RELAY + source + source.replace("mail.log", "x.log") + OWN.replace("(?P<user>", "("))
    assert len(told) == 1
    assert "agents[0].login" in told[0]


def test_own_agents_can_be_read_from_a_config_that_is_otherwise_wrong(config_file: Callable[[str], Path]) -> None:
    assert list(read_own_agents(config_file("[relay]\nperiod = 7\n" + OWN))) == ["oursite"]
    with pytest.raises(ConfigError, match=r"agents\[0\].login: "):
        read_own_agents(config_file(OWN.replace("(?P<user>", "(")))


def test_without_a_config_every_agent_is_tried_for_half_an_hour() -> None:
    config = default_config()
    assert config.settings.relay.period == 1800.0
    assert tuple(agent.name for part in config.sources for agent in part.agents) == catalog.names()


def test_the_ledger_gets_the_terms_and_the_rules_of_the_config(read: Read) -> None:
    settings = read(
        '[relay]\nperiod = "2h"\nmax_session = "3h"\nmax_grants = 7\nmax_addresses_per_user = 5\n'
        'max_users_per_address = 6\nipv6_prefix = 64\nrequire_tls = true\ndeny_users = ["eve"]\n'
        'deny_networks = ["8.8.8.0/24"]\nallow_networks = ["10.0.0.0/8"]\nexclude_networks = ["9.9.9.9"]\n' + SOURCE
    ).settings
    assert terms_of(settings) == Terms(
        period=7200.0,
        max_session=10_800.0,
        ipv6_prefix=64,
        max_addresses_per_user=5,
        max_users_per_address=6,
        max_grants=7,
    )
    rules = rules_of(settings, Surroundings(own=frozenset({Address("1.1.1.1")})))
    assert rules.terms == RuleTerms(
        deny_networks=(ip_network("8.8.8.0/24"),),
        deny_users=frozenset({"eve"}),
        allow_networks=(ip_network("10.0.0.0/8"),),
        exclude_networks=(ip_network("9.9.9.9/32"),),
        exclude_mta=False,
        require_tls=True,
    )
    assert rules.judge(Address("1.1.1.1"), "ann") == "own-address"


def test_every_setting_of_relay_reaches_the_ledger_or_is_the_daemons(read: Read) -> None:
    settings = read(RELAY + SOURCE).settings
    assert {*settings.relay.__struct_fields__, "standing"} == {*Terms.__struct_fields__, *RuleTerms.__struct_fields__}


@pytest.mark.usefixtures("_elsewhere")
def test_what_another_packages_map_calls_path_need_not_be_a_file(read: Read) -> None:
    config = read(RELAY + SOURCE + '[[maps]]\nkind = "elsewhere"\npath = "/var/lib/poprelay"\n')
    assert [part.name for part in config.maps] == ["elsewhere /var/lib/poprelay"]


@pytest.mark.usefixtures("_elsewhere")
def test_two_parts_of_one_name_are_refused_whoever_wrote_their_kind(read: Read) -> None:
    (told,) = problems(read, RELAY + SOURCE + '[[maps]]\nkind = "elsewhere"\npath = "x"\n' * 2)
    assert told == ("poprelay.toml:10:1: maps[1]: maps[0] is called 'elsewhere x' too; give each a name of its own")


@pytest.mark.usefixtures("_elsewhere")
def test_a_map_that_can_hold_networks_may_be_given_some(read: Read) -> None:
    assert read(RELAY + "ipv6_prefix = 64\n" + SOURCE + '[[maps]]\nkind = "elsewhere"\npath = "x"\n').maps


@pytest.mark.parametrize(("mode", "doubted"), [(0o600, False), (0o644, False), (0o664, True), (0o646, True)])
def test_a_config_that_others_can_write_is_doubted(
    mode: int, doubted: bool, config_file: Callable[[str], Path]
) -> None:
    file = config_file(RELAY + SOURCE + SERVICE)
    file.chmod(mode)
    warnings = read_config(file).warnings
    assert [f"{file}: others than its owner can write it" in each for each in warnings] == [True] * doubted


def test_a_config_from_a_pipe_is_read_and_not_judged_by_its_mode(config_file: Callable[[str], Path]) -> None:
    text = (RELAY + SOURCE + SERVICE).encode()
    pipe = config_file("").parent / "pipe"
    os.mkfifo(pipe, 0o666)
    writer = threading.Thread(target=pipe.write_bytes, args=(text,))
    writer.start()
    config = read_config(pipe)
    writer.join()
    assert config.warnings == ()


ODD = st.sampled_from(
    ['""', '"x"', "0", "-1", "1e400", "nan", "true", "[]", "[[]]", "{}", "[{}]", "2026-11-23", '"30m"', '"/a/../b"',
     '"/a"', '"unix:/a"', '"inet:0.0.0.0:99999"', '"::/0"', '["::/0"]', '["dovecot"]', '"lmdb"', '"(?P<user>.*"',
     r'"\ud7ff\u0000"']
)  # fmt: skip
KEYS = st.sampled_from(
    ["kind", "path", "agents", "period", "listen", "hosts", "timezone", "value", "name", "program", "login", "line",
     "like", "format", "command", "commands", "run", "mode", "group", "level", "on_stop", "history", "ipv6_prefix",
     "exclude_networks"]
)  # fmt: skip
PARTS = st.sampled_from(
    ["[relay]", "[[sources]]", "[[maps]]", "[[services]]", "[[agents]]", "[ledger]", "[control]", "[log]", "[daemon]",
     "[metrics]", "[[maps.commands]]", "[maps]", RELAY.strip(), SOURCE.strip(), SERVICE.strip(), OWN.strip()]
)  # fmt: skip


@given(st.lists(PARTS | st.builds("{} = {}".format, KEYS, ODD) | st.text(max_size=8), max_size=8).map("\n".join))
def test_any_text_is_a_config_or_refused_in_printable_sentences(text: str) -> None:
    try:
        problems: Sequence[str] = ()
        build_config(Document(text, "any.toml"))
    except ConfigError as error:
        problems = error.problems
        assert problems
    assert all(one.isprintable() and one.startswith("any.toml:") for one in problems)
