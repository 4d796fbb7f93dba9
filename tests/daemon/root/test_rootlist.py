"""Root's own list of commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from poprelay.daemon.root import rootlist
from poprelay.daemon.root.rootlist import Copy, Run, read_list
from poprelay.errors import ConfigError, NotPermitted


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "root.toml"


def example() -> str:
    """What the module's own text shows."""
    text = rootlist.__doc__ or ""
    return text[text.index("    user =") : text.index("A step runs")].replace("\n    ", "\n").strip()


def test_the_example_in_its_text_is_read_as_it_says(file: Path) -> None:
    file.write_text(example())
    found = read_list(file)
    assert found.user == "poprelay"
    access = Path("/etc/mail/poprelay/access")
    steps, every = found.commands["sendmail"]
    assert every == 1.0
    assert steps == (
        Copy((Path("/var/lib/poprelay/access"), Path("/etc/mail/access")), access, rootlist.LIMIT),
        Run(("/usr/sbin/makemap", "-r", "hash", "/etc/mail/poprelay/new"), access, 30.0),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "there is no command"),
        ('[[commands]]\nname = "a"', r"commands\[0\].steps: is empty"),
        ('[[commands]]\nname = "../a"\nsteps = [{run = ["/bin/true"]}]', r"commands\[0\].name: '../a' is no name"),
        ('[[commands]]\nname = "a"\nsteps = [{run = ["true"]}]', "is not the whole path of a program"),
        ('[[commands]]\nname = "a"\nsteps = [{}]', "has neither run nor copy, or both"),
        ('[[commands]]\nname = "a"\nsteps = [{run = ["/bin/true"], copy = ["/a"], to = "/b"}]', "or both"),
        ('[[commands]]\nname = "a"\nsteps = [{copy = ["/a"]}]', "to is missing"),
        ('[[commands]]\nname = "a"\nsteps = [{copy = ["/a"], to = "/a"}]', "is one of the files that are copied"),
        ('[[commands]]\nname = "a"\nsteps = [{copy = ["/b/../a"], to = "/c"}]', "is not the whole path of a file"),
        ('[[commands]]\nname = "a"\nevery = "0s"\nsteps = [{run = ["/bin/true"]}]', "every: '0s' is out of range"),
        ('[[commands]]\nname = "a"\nrun = ["/bin/true"]', r"commands\[0\].run: is not known here"),
        ('comands = 1\n[[commands]]\nname = "a"\nsteps = [{run = ["/bin/true"]}]', "comands: is not known here"),
        (2 * '[[commands]]\nname = "a"\nsteps = [{run = ["/bin/true"]}]\n', "'a' is there twice"),
        ('[[commands]]\nname = "a"\nsteps = [{run = []}]', "has no program"),
    ],
)
def test_what_is_wrong_in_it_is_refused(file: Path, text: str, message: str) -> None:
    file.write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_list(file)


def test_a_list_that_others_can_write_is_not_read(file: Path) -> None:
    file.write_text(example())
    file.chmod(0o664)
    with pytest.raises(NotPermitted, match="others than root can write"):
        read_list(file)


def test_nor_one_in_a_directory_that_others_can_write(file: Path) -> None:
    file.write_text(example())
    file.parent.chmod(0o777)
    with pytest.raises(NotPermitted, match="others than root can write"):
        read_list(file)
