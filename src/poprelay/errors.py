"""Every error that we raise on purpose, and whose fault it is.

    PoprelayError
    ├── ConfigError      the operator's config; lists every problem found          exit 78
    ├── AgentError       an agent's pattern or samples are wrong                   exit 78
    ├── UnknownKind      no such kind of source, map or service, or two            exit 78
    ├── InputError       a log that turns out to be damaged                        exit 65
    │   └── LegacyError  input that cannot be converted                            exit 65
    ├── Refused          the rules forbid what was asked                           exit 1
    ├── NotPermitted     this user may not ask that                                exit 77
    ├── NoDaemon         the command needs a running daemon                        exit 3
    ├── DaemonBroke      the daemon met a bug of ours while it answered            exit 70
    ├── AlreadyRunning   another daemon holds this ledger                          exit 1
    ├── SourceError      a source cannot be read now; the supervisor retries       exit 1
    ├── MapError         a map cannot be written now; the supervisor retries       exit 1
    ├── ServiceError     a socket cannot be opened now; the supervisor retries     exit 1
    ├── MtaError         an MTA cannot be asked, or set up as wanted               exit 1
    └── StoreError       the ledger's file cannot be written now                   exit 1
        └── StoreDamaged the ledger's file is not readable; it is set aside        exit 1

`str(error)` is one plain sentence for people; `remedy` is the next step, if one is known; `fields` are for the log.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar


class PoprelayError(Exception):
    """What went wrong, in one sentence; `retry` says whether trying again may help."""

    exit_code: ClassVar[int] = 1
    retry: ClassVar[bool] = False

    def __init__(self, message: str, *, remedy: str = "", **fields: object) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.fields = fields

    def __str__(self) -> str:
        return f"{self.message}: {self.remedy}" if self.remedy else self.message


class ConfigError(PoprelayError):
    """The config is refused. `problems` holds each one as `file:line:column: key: what is wrong; the remedy`."""

    exit_code = 78

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class AgentError(PoprelayError):
    exit_code = 78


class UnknownKind(PoprelayError):
    exit_code = 78


class InputError(PoprelayError):
    exit_code = 65


class LegacyError(InputError):
    pass


class Refused(PoprelayError):
    pass


class NotPermitted(PoprelayError):
    exit_code = 77


class NoDaemon(PoprelayError):
    exit_code = 3


class DaemonBroke(PoprelayError):
    """The daemon met a bug of ours while it answered; its log has more."""

    exit_code = 70


class AlreadyRunning(PoprelayError):
    pass


class SourceError(PoprelayError):
    retry = True


class MapError(PoprelayError):
    retry = True


class ServiceError(PoprelayError):
    retry = True


class MtaError(PoprelayError):
    pass


class StoreError(PoprelayError):
    retry = True


class StoreDamaged(StoreError):
    retry = False
