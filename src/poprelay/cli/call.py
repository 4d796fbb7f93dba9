"""How a command reaches an operation: through the control socket, or into the ledger itself when no daemon runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from poprelay.daemon.client import ask, connect
from poprelay.errors import AlreadyRunning, NoDaemon

Row = dict[str, Any]


class Call:
    """One operation, carried out when its rows are read; `exit_code` is known afterwards."""

    def __init__(
        self,
        config_path: Path,
        operation: str,
        arguments: Row,
        *,
        writes: bool = False,
        needs_daemon: bool = False,
        wait: float | None = 30.0,
    ) -> None:
        self._config_path = config_path
        self._operation = operation
        self._arguments = arguments
        self._writes = writes
        self._needs_daemon = needs_daemon
        self._wait = wait
        self.exit_code = 0

    def __iter__(self) -> Iterator[Row]:
        from poprelay.config.load import control_socket

        path = control_socket(self._config_path)
        try:
            connection = connect(path)
        except NoDaemon:
            if self._needs_daemon:
                raise
            try:
                yield from self._without_daemon()
            except AlreadyRunning as held:
                try:
                    connection = connect(path)  # a daemon that was only starting
                except NoDaemon:
                    raise held from None
            else:
                return
        answer = ask(connection, self._operation, self._arguments, wait=self._wait)
        yield from answer
        self.exit_code = answer.exit_code

    def _without_daemon(self) -> Iterator[Row]:
        if self._writes:
            from poprelay.daemon.offline import carry_out

            rows, self.exit_code = carry_out(self._config_path, self._operation, self._arguments)
            yield from rows
        else:
            from poprelay.daemon.reading import look

            for row in look(self._config_path, self._operation, self._arguments):
                self.exit_code = row.pop("exit", self.exit_code)
                if row:
                    yield row
