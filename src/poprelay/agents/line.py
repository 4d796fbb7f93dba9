"""An expression for whole lines, as Mail::POPRelay's `mailLogRegExp` is one: for logs that no agent of ours reads yet.

It is looked for anywhere in a line, header and all, whatever program wrote that; so it is as forgeable as its author
made it. An agent proper (`poprelay.agents.base`) sees only whole messages of its own program.
"""

from __future__ import annotations

from poprelay.agents.base import Agent
from poprelay.agents.perl import read_perl


class LineAgent(Agent):
    """One expression, with the user name in its first group and the address in its second.

    AgentError, with `position`, if it cannot be run.
    """

    whole_line = True
    program = ("",)

    def __init__(self, name: str, line: str) -> None:
        self.expression = read_perl(line)
        super().__init__(name=name, login=self.expression.pattern)

    def remark(self) -> str:
        """Why it is forgeable, and what would be harder to forge; '' if it is not."""
        reasons = self.expression.remarks
        if not reasons:
            return ""
        program, login = self.expression.anchored
        return f"it is forgeable: {'; '.join(reasons)}; anchored: program = {program!r}, login = '''{login}'''"
