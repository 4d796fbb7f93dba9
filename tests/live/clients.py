"""Mail clients, each on an open connection: an SMTP session that asks, POP3 and IMAP sessions that log in."""

from __future__ import annotations

import socket
import ssl
from types import TracebackType
from typing import Final, NamedTuple, Self

OUTSIDE: Final = "someone@elsewhere.example"
LOCAL: Final = "someone@site.test"


class Reply(NamedTuple):
    """An SMTP reply; of several lines, the last."""

    code: int
    text: str


class _Lines:
    """A conversation in lines; a context manager that hangs up."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._reader = connection.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.hang_up()

    def hang_up(self) -> None:
        """Close the connection, saying nothing."""
        self._reader.close()
        self._connection.close()

    def secure(self) -> None:
        """Begin TLS, whoever the server says it is."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self._reader.close()
        self._connection = context.wrap_socket(self._connection)
        self._reader = self._connection.makefile("rb")

    def send(self, line: bytes) -> None:
        self._connection.sendall(line + b"\r\n")

    def line(self) -> bytes:
        line = self._reader.readline()
        if not line:
            raise ConnectionError("the server has hung up")
        return line.rstrip(b"\r\n")


class Smtp(_Lines):
    """One SMTP session, kept open, that asks again and again whether it may send."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__(connection)
        self._reply()
        self._command("EHLO client.example")

    def ask(self, recipient: str = OUTSIDE) -> Reply:
        """The answer at RCPT, in a fresh transaction that goes no further."""
        self._command("RSET")
        sender = self._command("MAIL FROM:<ann@site.test>")
        return sender if sender.code != 250 else self.ask_again(recipient)

    def ask_again(self, recipient: str = OUTSIDE) -> Reply:
        """The answer at RCPT in the transaction that `ask` began: one round trip, and the relay is looked up anew."""
        return self._command(f"RCPT TO:<{recipient}>")

    def _command(self, line: str) -> Reply:
        self.send(line.encode())
        return self._reply()

    def _reply(self) -> Reply:
        while True:
            line = self.line().decode(errors="replace")
            if line[3:4] != "-":
                return Reply(int(line[:3]), line[4:])


class Reader(_Lines):
    """Someone who looks for mail. `tls`: from the first byte on."""

    def __init__(self, connection: socket.socket, *, tls: bool = False) -> None:
        super().__init__(connection)
        if tls:
            self.secure()
        self.line()

    def start_tls(self) -> None:
        """Ask for TLS in the session, and begin it."""
        raise NotImplementedError

    def login(self, user: str, password: str) -> bool:
        """Log in, and stay; False if the server says no."""
        raise NotImplementedError

    def logout(self) -> None:
        """Take leave, and hang up."""
        raise NotImplementedError


class Pop3(Reader):
    """One POP3 session."""

    def start_tls(self) -> None:
        self.send(b"STLS")
        assert (line := self.line()).startswith(b"+OK"), line
        self.secure()

    def login(self, user: str, password: str) -> bool:
        self.send(b"USER " + user.encode())
        self.line()
        self.send(b"PASS " + password.encode())
        return self.line().startswith(b"+OK")

    def logout(self) -> None:
        self.send(b"QUIT")
        self.line()
        self.hang_up()


class Imap(Reader):
    """One IMAP session; a name that is no word goes as a literal, so that it can be any bytes."""

    def start_tls(self) -> None:
        self.send(b"t STARTTLS")
        assert (line := self._done(b"t")).startswith(b"t OK"), line
        self.secure()

    def login(self, user: str, password: str) -> bool:
        name = user.encode()
        said = name if name.isalnum() else b"{%d+}\r\n%b" % (len(name), name)
        self.send(b"a LOGIN %b %b" % (said, password.encode()))
        return self._done(b"a").startswith(b"a OK")

    def logout(self) -> None:
        self.send(b"z LOGOUT")
        self._done(b"z")
        self.hang_up()

    def _done(self, tag: bytes) -> bytes:
        while not (line := self.line()).startswith(tag + b" "):
            pass
        return line
