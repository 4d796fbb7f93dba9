"""Exims whose config is the test's own, and who tell a stranger what the test says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from poprelay.mta.exim.instance import Instance
from poprelay.mta.exim.session import Session, Step

Made = Callable[..., Instance]


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    """Makes one of a config's text. `stops`: how the line begins at which strangers are refused; '': the list's end."""

    def make(
        text: str,
        *,
        stops: str = "require message",
        said: str = "550 relay not permitted",
        printer: str = "",
        values: dict[str, str] | None = None,
    ) -> Instance:
        config = tmp_path / "exim.conf"
        config.write_text(text)
        lines = text.splitlines()
        acl = next(line.partition("=")[2].strip() for line in lines if line.startswith("acl_smtp_rcpt"))
        begin = next(number for number, line in enumerate(lines) if line.strip() == f"{acl}:")
        reached = next(
            (n for n in range(begin, len(lines)) if stops and lines[n].strip().startswith(stops)), len(lines)
        )

        def session(_: Instance, helo: str = "client.example.com") -> Session:
            rcpt = printer if printer and "." not in helo else said
            last = begin if printer and "." not in helo else reached
            steps = (Step("require", config, last + 1),) if stops else ()
            ended = "not OK" if stops else "implicit DENY"
            return Session(("220", "250", "250", rcpt), steps, ended, "\n".join(lines[begin : last + 1]))

        monkeypatch.setattr(Instance, "session", session)
        return Instance(
            "exim",
            "4.96",
            frozenset({"iplsearch"}),
            config,
            text,
            {"acl_smtp_rcpt": acl, "exim_user": "0", **(values or {})},
        )

    return make
