"""vpop3d with virtual domains (also vpopd).

A failure may begin with the user name, too: `(x,192.0.2.66) Authenticated,198.51.100.1) failed`. The end is what tells.
"""

from __future__ import annotations

from poprelay.agents.base import UNCUT, Agent


class VPop3d(Agent):
    """vpop3d."""

    name = "vpop3d"
    versions = "vpop3d and vpopd, as Mail::POPRelay knew them"
    needs = "Nothing is known to be needed."
    program = "vpop3d"
    login = rf"{UNCUT}\((?P<user>[^,()\s]+),(?P<address>[0-9a-fA-F.:]+)\) Authenticated\.?$"
