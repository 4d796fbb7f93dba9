"""An agent in a file of its own is an executable: `poprelay.run(MyAgent)` is all that it needs at its end."""

from __future__ import annotations

from typing import NoReturn

from poprelay.agents.base import Agent


def run(agent: type[Agent]) -> NoReturn:
    """Be the command `poprelay`, with one agent more: the config's sources may name it, and `match` tries it.

        ./vpop3d.py run -c /etc/poprelay/poprelay.toml
        ./vpop3d.py match /var/log/mail.log --agent vpop3d

    Its errors, exit codes and options are those of poprelay(1). An agent of the name of a built-in one takes its place.
    """
    from poprelay.agents import catalog  # noqa: PLC0415 - an agent file that is only imported needs no more than Agent
    from poprelay.cli.main import main  # noqa: PLC0415

    catalog.add(agent)
    main()
