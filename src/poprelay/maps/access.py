"""What Postfix is to find for an address that may relay (access(5)), and how its config names the file of a map."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from poprelay.config.section import Section


def read_path(section: Section, suffix: str) -> Path:
    """The map's `path`, with the suffix that Postfix puts behind the name that it is given."""
    path = section.file("path")
    if path.suffix != suffix and section.spec.get("path") == str(path):
        section.refuse("path", f"Postfix adds {suffix} to the name that its config has", f'write "{path}{suffix}"')
    return path


def read_value(section: Section) -> str:
    """The map's `value`; `OK` where it is wrong."""
    value = section.text("value", "OK")
    wrong = flaw(value) if value else ""
    if wrong:
        section.refuse("value", wrong, 'write "OK"')
    return "OK" if wrong or not value else value


def flaw(value: str) -> str:
    """What is wrong with a value, or '' if nothing is.

    >>> flaw("OK"), flaw("ok"), flaw("permit")
    ('', '', '')
    >>> flaw("RELAY")
    "'RELAY' is Sendmail's word, and permits in Postfix only by accident"
    """
    word = value.upper()
    if word in {"OK", "PERMIT"}:
        return ""
    if not value.strip():
        return "Postfix answers an empty value with an error, and takes a blank one for OK by accident"
    if word == "RELAY":
        return f"{value!r} is Sendmail's word, and permits in Postfix only by accident"
    if value.isdigit():
        return f"{value!r} permits only by accident: Postfix takes any number for OK"
    return f"{value!r} does not permit"
