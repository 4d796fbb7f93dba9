"""Mail::POPRelay's config file: each option by its name, and what is refused."""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poprelay.config.legacy import DEFAULTS, KNOWN, Legacy, read_legacy
from poprelay.config.legacycommand import Command, read_command
from poprelay.config.legacytoml import to_toml
from poprelay.errors import ConfigError

LEAST = "mailRelayFile = /etc/mail/access\nmailRelayPeriod = 3600\n"


def read(text: str = "", **options: object) -> Legacy:
    return read_legacy(LEAST + text, "old.conf", options)


def refused(text: str, **options: object) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read_legacy(text, "old.conf", options)
    return list(caught.value.problems)


def test_a_file_that_is_no_such_config_is_told_so_after_the_first_lines() -> None:
    told = refused('[relay]\nperiod = "30m"\n[[maps]]\nkind = "text"\npath = "/x"\n')
    assert len(told) == 4
    assert told[0] == "old.conf:1:1: is no option; write one on each line, as name = value"
    assert told[1] == "old.conf:2:1: period: is not an option"
    assert told[-1].startswith("old.conf: it does not look like a Mail::POPRelay config")
    assert len(refused("a = 1\nb = 2\nc = 3\nd = 4\n" + LEAST)) == 4


def test_mail_log_file_is_the_log_to_follow() -> None:
    assert read().log_file == Path("/var/log/maillog")
    assert read("mailLogFile = /var/log/mail.log").log_file == Path("/var/log/mail.log")


def test_mail_program_stands_for_m() -> None:
    assert read().program == "sendmail"
    assert read("mailProgram = exim\nmailRelayFileFormat = %m:%i").line_format == "exim:%i"


def test_mail_program_name_is_mail_program() -> None:
    assert read("mailProgramName = exim").program == "exim"


def test_mail_program_restart_runs_the_restart_command() -> None:
    assert read().restart is None
    assert read("mailProgramRestart = 1").restart == Command(("/etc/init.d/sendmail", "restart"))


def test_mail_program_restart_command_replaces_m_r_and_n() -> None:
    found = read("mailProgramRestart = 1\nmailProgramRestartCommand = /etc/rc.d/rc.%n restart %M %r")
    assert found.restart == Command(("/etc/rc.d/rc.sendmail", "restart", "sendmail", "/etc/mail/access"))


def test_mail_relay_is_database_runs_the_database_command() -> None:
    assert read().database is None
    access = "/etc/mail/access"
    assert read("mailRelayIsDatabase = 1").database == Command(("/usr/sbin/makemap", "hash", access), Path(access))


def test_mail_relay_database_command_makes_the_database() -> None:
    found = read("mailRelayIsDatabase = 1\nmailRelayDatabaseCommand = postmap %r")
    assert found.database == Command(("postmap", "/etc/mail/access"))


@pytest.mark.parametrize("spelled", ["makeMapLocation", "makemapLocation"])
def test_make_map_location_and_database_type_make_the_command(spelled: str) -> None:
    found = read(f"mailRelayIsDatabase = 1\n{spelled} = /opt/makemap\nmailRelayDatabaseType = btree")
    assert found.database == Command(("/opt/makemap", "btree", "/etc/mail/access"), Path("/etc/mail/access"))


def test_make_map_location_alone_makes_a_hash() -> None:
    found = read("mailRelayIsDatabase = 1\nmakeMapLocation = /opt/makemap")
    assert found.database == Command(("/opt/makemap", "hash", "/etc/mail/access"), Path("/etc/mail/access"))


def test_mail_relay_database_type_alone_is_for_the_usual_makemap() -> None:
    found = read("mailRelayIsDatabase = 1\nmailRelayDatabaseType = dbm")
    assert found.database == Command(("/usr/sbin/makemap", "dbm", "/etc/mail/access"), Path("/etc/mail/access"))


def test_a_database_command_beats_what_is_deprecated() -> None:
    found = read("mailRelayIsDatabase = 1\nmakeMapLocation = /opt/makemap\nmailRelayDatabaseCommand = postmap %r")
    assert found.database == Command(("postmap", "/etc/mail/access"))


def test_mail_relay_directory_is_the_spool() -> None:
    assert read().directory == Path("/var/spool/poprelay")
    assert read("mailRelayDirectory = /srv/spool").directory == Path("/srv/spool")


def test_mail_relay_file_is_required() -> None:
    assert refused("mailRelayPeriod = 60") == [
        "old.conf:1:1: mailRelayFile: is missing; write the file that the MTA reads"
    ]


def test_mail_relay_file_format_depends_on_the_database() -> None:
    assert read().line_format == "%i"
    assert read("mailRelayIsDatabase = 1").line_format == "%i RELAY"
    assert read("mailRelayFileFormat = Connect:%i RELAY").line_format == "Connect:%i RELAY"


def test_mail_relay_period_is_required_and_in_seconds() -> None:
    assert read().period == 3600
    assert refused("mailRelayFile = /x") == [
        "old.conf:1:1: mailRelayPeriod: is missing; write how many seconds one login lasts, such as 3600"
    ]


def test_mail_log_reg_exp_is_taken_as_it_is_written() -> None:
    assert read().expression is None
    written = r"popd: login (\w+) from (\d+\.\d+\.\d+\.\d+) # ok;"
    assert read(f"mailLogRegExp = {written}").expression == written
    assert read(f"mailLogRegExp = '{written}';").expression == written


@pytest.mark.parametrize(
    "line",
    [
        "mailLogFile=/x y",
        "  mailLogFile   =   /x y  ",
        "mailLogFile = '/x y';",
        'mailLogFile = "/x y",',
        "mailLogFile\t=\t/x y\r",
    ],
)
def test_a_value_is_bare_or_quoted_and_may_end_as_perl_has_it(line: str) -> None:
    assert read(line).log_file == Path("/x y")


def test_comments_stand_on_lines_of_their_own_or_after_a_blank() -> None:
    found = read("# mailLogFile = /a\n\n   # mailRelayFile\nmailLogFile = /b#c # d\nmailRelayDirectory = '/e # f' # g")
    assert found.log_file == Path("/b#c")
    assert found.directory == Path("/e # f")


def test_a_byte_order_mark_at_the_beginning_is_none_of_it() -> None:
    assert read_legacy(f"\ufeff{LEAST}", "old.conf").period == 3600


def test_bytes_that_are_not_utf_8_do_not_matter_in_a_comment() -> None:
    assert read("# caf\udce9\n").period == 3600


def test_of_two_lines_about_one_option_the_last_counts() -> None:
    found = read("mailRelayPeriod = 60\n")
    assert found.period == 60
    assert [(each.name, each.value) for each in found.overridden] == [("mailRelayPeriod", "3600")]


def test_options_given_to_the_class_override_the_files() -> None:
    found = read("mailProgramRestart = 1\n", mailRelayPeriod=7, mailProgramRestart=False, mailLogFile=Path("/y"))
    assert (found.period, found.restart, found.log_file) == (7, None, Path("/y"))


def test_options_alone_make_a_config() -> None:
    assert read_legacy("", "options", {"mailRelayFile": "/x", "mailRelayPeriod": 60}).relay_file == Path("/x")


@pytest.mark.parametrize("option", DEFAULTS)
@pytest.mark.parametrize("value", ["", None])
def test_an_option_given_to_the_class_must_have_a_value(option: str, value: object) -> None:
    assert refused(LEAST, **{option: value}) == [f"options: {option}: has no value; give one, or leave the option out"]


def test_an_unknown_option_is_refused_with_its_line_and_the_nearest_one() -> None:
    assert refused(LEAST + "mailRelayPeriode = 60") == [
        "old.conf:3:1: mailRelayPeriode: is not an option; did you mean 'mailRelayPeriod'?"
    ]
    assert refused(LEAST, mailRelayfile="/x") == [
        "options: mailRelayfile: is not an option; did you mean 'mailRelayFile'?"
    ]


@pytest.mark.parametrize(
    ("line", "place"),
    [
        ("mailLogFile = $ENV{LOG}", 15),
        ("mailLogFile = `cat /etc/log`", 15),
        ("mailLogFile = 'a' . 'b'", 19),
        ('mailLogFile = "/var/$name"', 21),
        ("mailLogFile = do { 1 }", 15),
        ("mailProgram = system('id')", 15),
        ("mailProgram = qx{id}", 15),
        ("mailProgram => 'exim'", 14),
    ],
)
def test_an_expression_is_refused_with_its_place_and_never_evaluated(line: str, place: int) -> None:
    (problem,) = refused(LEAST + line)
    assert problem.startswith(
        f"old.conf:3:{place}: {line.split(maxsplit=1)[0]}: is an expression, and nothing is evaluated; "
    )


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("nonsense", "old.conf:3:1: is no option; write one on each line, as name = value"),
        ("mailProgram =", "old.conf:3:14: mailProgram: has no value; write one, or leave the line out"),
        (
            "mailProgram = 'x",
            "old.conf:3:15: mailProgram: has a ' that is not closed; close it, or write the value without quotes",
        ),
        (
            r'mailRelayFileFormat = "%i\tRELAY"',
            (
                r'old.conf:3:26: mailRelayFileFormat: has \t, which Perl reads as something else in a " "; '
                "write the character itself, or the value in ' '"
            ),
        ),
        (
            "mailRelayIsDatabase = yes",
            "old.conf:3:1: mailRelayIsDatabase: 'yes' is neither 0 nor 1; write 0 for no, 1 for yes",
        ),
        (
            "mailRelayPeriod = 24*60*60",
            (
                "old.conf:3:1: mailRelayPeriod: '24*60*60' is not a number of seconds from 1 to 2592000; "
                "write the number itself, such as 86400 for a day"
            ),
        ),
        (
            "mailLogFile = maillog",
            "old.conf:3:1: mailLogFile: 'maillog' is not an absolute path; write the whole path, from / on",
        ),
        (
            "mailProgram = a b",
            "old.conf:3:1: mailProgram: 'a b' is not the name of a service; write for example sendmail",
        ),
        (
            "mailProgramRestart = 1\nmailProgramRestartCommand = kill 'x",
            (
                'old.conf:4:1: mailProgramRestartCommand: "kill \'x" has a quote that is not closed; '
                "write a program and its arguments"
            ),
        ),
        (
            r"mailLogRegExp = (a)\z(b)",
            r"old.conf:3:20: mailLogRegExp: the expression has \z, which only Perl understands at character 4; write $",
        ),
    ],
)
def test_a_refusal_names_place_fault_and_remedy(line: str, sentence: str) -> None:
    assert refused(LEAST + line) == [sentence]


def test_all_mistakes_are_found_in_one_run_and_told_in_order() -> None:
    found = refused("mailRelayFile = x\nwhat\nmailProgramme = y\nmailRelayIsDatabase = no\n")
    assert [problem.split(": ")[0] for problem in found] == [
        "old.conf:1:1",
        "old.conf:1:1",
        "old.conf:2:1",
        "old.conf:3:1",
        "old.conf:4:1",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "kill -HUP `cat /run/x.pid`",
        "a | b",
        "a > /dev/null 2>&1",
        "a && b",
        "rm /x/*",
        "a $(b)",
        "cp /x{,.bak}",
        "LANG=C makemap hash /x",
        "cd /etc/mail",
        "umask 077",
        ". /etc/x",
        "exec a",
        "a /x 0< /x",
    ],
)
def test_what_needs_a_shell_is_left_to_one(text: str) -> None:
    assert read_command(text, {}) == Command(("/bin/sh", "-c", text))


def test_a_name_is_quoted_where_a_shell_reads_it() -> None:
    assert read_command("a %r | b", {"r": "/my file"}).run[2] == "a '/my file' | b"


def test_an_input_without_a_file_is_refused() -> None:
    with pytest.raises(ValueError, match="names no file after <"):
        read_command("makemap hash x <", {})


VALUES = st.text(max_size=12) | st.sampled_from(
    ["/etc/mail/access", "3600", "0", "1", "%i RELAY", "%m %r %n", "makemap hash %r < %r", "kill -HUP `cat /x`", "# c",
     "q(x)", "'%i' . 'x'", '"a"', "'a\\'b'", '"$x"', "$ENV{A}", r"popd: (\w+) ([\d.]+)", "(a)(b", "\ud800", "\u2028"]
)  # fmt: skip
NAMES, GAPS = st.sampled_from([*DEFAULTS, "x", ""]), st.sampled_from([" = ", "=", "\t"])
ENDS = st.sampled_from(["", ";", ",", " # c", "\r"])
ODD = st.text(max_size=20) | st.builds("{}{}{}{}".format, NAMES, GAPS, VALUES, ENDS)
USUAL = {
    "mailLogFile": ["/var/log/mail.log", "'/var/log/caf\u00e9'", '"/x y"'],
    "mailProgramName": ["exim", "'sendmail'"],
    "mailProgramRestart": ["1", "'1'"],
    "mailProgramRestartCommand": ["/etc/init.d/%m restart", "kill -HUP `cat /x`", "'a \"b c\" \\'d\\''"],
    "mailRelayIsDatabase": ["1", '"1"'],
    "mailRelayDatabaseCommand": ["makemap hash %r < %r", "postmap %r", "a | b"],
    "mailRelayDatabaseType": ["btree"],
    "mailRelayDirectory": ["/srv/spool/", "//srv"],
    "mailRelayFileFormat": ["%i RELAY", "'%i;'", "Connect:%i\tOK", "%i %m\u2028"],
    "mailLogRegExp": [r"popd: (\w+) ([\d.]+)", *KNOWN],
}
USUALLY = st.sampled_from([*USUAL]).flatmap(
    lambda name: st.builds("{}{}{}{}".format, st.just(name), st.just(" = "), st.sampled_from(USUAL[name]), ENDS)
)
OPTIONS: st.SearchStrategy[dict[str, str]] = st.just({}) | st.dictionaries(
    st.sampled_from([*DEFAULTS]), VALUES, max_size=2
)


@given(st.lists(USUALLY, max_size=6) | st.lists(USUALLY | ODD, max_size=6), OPTIONS)
def test_any_text_is_read_or_refused_and_its_toml_says_what_was_read(lines: list[str], options: dict[str, str]) -> None:
    try:
        found = read_legacy(LEAST + "\n".join(lines), "old.conf", options)
    except ConfigError as error:
        problems = error.problems
    else:
        problems = ()
        table = tomllib.loads(to_toml(found))
        assert table["sources"][0]["path"] == str(found.log_file)
        assert [one["path"] for one in table["maps"]] == [str(found.directory), str(found.relay_file)]
        assert (table["maps"][1]["format"], table["relay"]["period"]) == (found.line_format, f"{found.period}s")
        commands = [one.run for one in (found.database, found.restart) if one is not None]
        assert [tuple(one["run"]) for one in table["maps"][1].get("commands", ())] == commands
    assert all(one.isprintable() and one.startswith(("old.conf:", "options: ")) for one in problems)


SIGNS = st.sampled_from([*"ab/.-%'\"\\<", " ", "\t", "%r", "\u00e9", "'a b'", '"a\\"'])


@given(st.lists(SIGNS, max_size=8).map("".join))
def test_a_command_that_needs_no_shell_gets_the_arguments_that_a_shell_would_give_it(text: str) -> None:
    try:
        found = read_command(f"printf {text}", {"r": "/f"})
    except ValueError:
        return
    if not found.by_shell and found.stdin is None:
        script = f"set -- {text.replace('%r', '/f')}; for one; do printf '%s\\0' \"$one\"; done"
        said = subprocess.run(["/bin/sh", "-c", script], capture_output=True, check=True).stdout
        assert said.decode().split("\0")[:-1] == list(found.run[1:])
