"""A private rsyslogd: what a server says to `/dev/log` becomes lines in files, as on a Debian host."""

from __future__ import annotations

from pathlib import Path

from live.packages import staged
from live.running import Running

_CONFIG = """
global(workDirectory="{place}" net.enableDNS="off")
module(load="imuxsock" SysSock.Name="{place}/log.sock" SysSock.RateLimit.Interval="0")
action(type="omfile" file="{place}/mail.log" template="RSYSLOG_TraditionalFileFormat")
action(type="omfile" file="{place}/mail.iso.log" template="RSYSLOG_FileFormat")
"""


class Rsyslog:
    """rsyslogd below `place`; `socket` stands for `/dev/log` in the servers that speak to it."""

    def __init__(self, place: Path) -> None:
        place.mkdir()
        self.socket = place / "log.sock"
        self.traditional = place / "mail.log"
        self.iso = place / "mail.iso.log"
        config = place / "rsyslog.conf"
        config.write_text(_CONFIG.format(place=place))
        command = staged("rsyslog", "rsyslogd", "-n", "-f", config, "-i", place / "pid")
        self._running = Running("rsyslogd", command, output=place / "printed")
        self._running.ready(self.socket.is_socket)

    def stop(self) -> None:
        self._running.stop()
