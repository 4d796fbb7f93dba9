from __future__ import annotations

import sys
from pathlib import Path

import pytest

from poprelay.errors import MtaError
from poprelay.mta.postfix.asking import question
from poprelay.mta.postfix.instance import Instance, Smtpd
from poprelay.mta.postfix.planning import KINDS, part_of, plan
from poprelay.mta.postfix.restrictions import LISTS, RECIPIENT, RELAY

POSTCONF = """\
#!{python}
import sys
if "-e" in sys.argv:
    open(sys.argv[2] + "/main.cf", "w").write("".join(word + "\\n" for word in sys.argv[4:]))
else:
    print(sys.argv[-1], "=", {written!r}.get(sys.argv[-1], ""))
"""
PAGE = Path(__file__).parents[3] / "docs/mta/postfix.md"
END = "reject_unauth_destination"


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    return described(tmp_path, {RELAY: f"permit_mynetworks, {END}"})


def described(place: Path, lists: dict[str, str], *smtpds: Smtpd, expanded: dict[str, str] | None = None) -> Instance:
    """A Postfix with these lists."""
    postconf = place / "postconf"
    postconf.write_text(POSTCONF.format(python=sys.executable, written=lists))
    postconf.chmod(0o755)
    (place / "main.cf").write_text("")
    values = {
        **dict.fromkeys(LISTS, ""),
        **lists,
        **(expanded or {}),
        "config_directory": str(place),
        "queue_directory": str(place / "queue"),
        "mail_owner": "nobody",
        "multi_instance_directories": "",
    }
    return Instance(str(postconf), (), values, frozenset(), smtpds)


def wanted(instance: Instance, kind: str = "socketmap") -> str:
    return plan(instance, kind).edits[-1].content.decode()


def test_we_are_asked_behind_local_mail_and_before_strangers_are_stopped(instance: Instance) -> None:
    ask = "check_client_access socketmap:unix:poprelay/socketmap:relay"
    assert wanted(instance) == f"{RELAY} = permit_mynetworks, permit_auth_destination, {ask}, {END}\n"


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_to_be_changed_where_it_asks_already(tmp_path: Path, kind: str) -> None:
    first = wanted(described(tmp_path, {RELAY: f"permit_mynetworks, {END}"}), kind).partition(" = ")[2].strip()
    if kind != "sqlite":  # whose question is known by a file that is not written here
        assert not plan(described(tmp_path, {RELAY: first}), kind).edits


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_shows_the_lines_that_setup_writes(tmp_path: Path, kind: str) -> None:
    instance = described(tmp_path, {RELAY: END})
    instance.values["queue_directory"] = "/var/spool/postfix"
    part = part_of(kind, instance)
    page = PAGE.read_text()
    assert f"| `{kind}` | `{question(part, instance.queue)}` | `{part.place}` |" in page
    made = plan(described(tmp_path, {RELAY: END}), kind)
    assert made.root.replace(str(tmp_path), "/usr/sbin") in page
    assert all(line in page for edit in made.edits[:-1] for line in edit.content.decode().splitlines()[1:])


def test_a_table_within_the_list_stays_whole(tmp_path: Path) -> None:
    table = "check_client_access pipemap:{inline:{a=OK, {b = REJECT no}}, static:{4xx no}}"
    text = wanted(described(tmp_path, {RELAY: f"{table}, {END}"}), "lmdb")
    assert text.startswith(f"{RELAY} = {table}, permit_auth_destination, check_client_access lmdb:")
    assert text.endswith(f", {END}\n")


def test_a_list_that_cannot_be_read_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(MtaError, match="cannot be read") as refused:
        plan(described(tmp_path, {RELAY: f"check_client_access inline:{{a=OK, {END}"}), "lmdb")
    assert "by hand" in refused.value.remedy


def test_another_kind_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    before = f"permit_auth_destination, check_client_access socketmap:unix:poprelay/socketmap:relay, {END}"
    made = plan(described(tmp_path, {RELAY: before}), "lmdb")
    ask = "check_client_access lmdb:/var/lib/poprelay/relay"
    assert made.edits[0].content.decode() == f"{RELAY} = permit_auth_destination, {ask}, {END}\n"
    assert "by another way no more" in made.remarks[0]


def test_names_are_kept_where_the_end_of_the_list_is_not_in_them(tmp_path: Path) -> None:
    ours = "permit_auth_destination, check_client_access lmdb:/var/lib/poprelay/relay"
    values = {RELAY: f"permit_sasl_authenticated, {END}"}
    kept = described(tmp_path, {RELAY: f"$mua, {END}"}, expanded=values)
    assert wanted(kept, "lmdb") == f"{RELAY} = $mua, {ours}, {END}\n"
    whole = described(tmp_path, {RELAY: "$all"}, expanded=values)
    assert wanted(whole, "lmdb") == f"{RELAY} = permit_sasl_authenticated, {ours}, {END}\n"


def test_the_recipients_list_is_asked_where_it_stops_strangers_too(tmp_path: Path) -> None:
    lists = {RELAY: f"permit_mynetworks, {END}", RECIPIENT: f"permit_mynetworks, {END}"}
    made = plan(described(tmp_path, lists), "lmdb")
    ask = "check_client_access lmdb:/var/lib/poprelay/relay"
    assert made.edits[0].content.decode().splitlines()[1] == f"{RECIPIENT} = permit_mynetworks, {ask}, {END}"
    assert "rejects strangers too" in made.remarks[0]


@pytest.mark.parametrize(
    ("lists", "words"),
    [({RELAY: "permit_mynetworks"}, "does not end with"), ({}, "neither"), ({RECIPIENT: "permit_mynetworks"}, "end")],
)
def test_a_list_that_stops_nobody_is_refused(tmp_path: Path, lists: dict[str, str], words: str) -> None:
    with pytest.raises(MtaError, match=words):
        plan(described(tmp_path, lists), "lmdb")


def test_a_door_with_a_list_of_its_own_is_refused_and_the_line_is_said(tmp_path: Path) -> None:
    own = Smtpd("smtp/inet", True, {RELAY: f"permit_mynetworks, {END}"})
    with pytest.raises(MtaError, match="of its own") as refused:
        plan(described(tmp_path, {RELAY: END}, own), "lmdb")
    assert "postconf -P 'smtp/inet/smtpd_relay_restrictions=permit_mynetworks, permit_auth" in refused.value.remedy


def test_a_folder_whose_sockets_postfix_could_not_use_is_refused(instance: Instance) -> None:
    folder = Path(part_of("policy", instance).place.removeprefix("unix:")).parent
    folder.mkdir(parents=True)
    with pytest.raises(MtaError, match="does not get the group nogroup") as refused:
        plan(instance, "policy")
    assert f"chmod 2750 {folder}" in refused.value.remedy
