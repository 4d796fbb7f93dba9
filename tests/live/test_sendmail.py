"""Mail::POPRelay's own job: its Red Hat sample, its command, a real Sendmail."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from pathlib import Path

from live.clients import LOCAL, OUTSIDE, Smtp
from live.network import ANN4, BOB4, Network
from live.running import Running, until
from live.sendmail import Sendmail

SAMPLE = Path(__file__).parents[2] / "packaging/samples/redhat-sendmail.conf"
LINE = "{stamp} mx ipop3d[{pid}]: Login user={user} host=ann.example [{address}] nmsgs=0/0\n"


def configured(place: Path, sendmail: Sendmail) -> Path:
    """The sample with this test's own places, and a period that a test can wait for."""
    config = place / "poprelay.conf"
    text = SAMPLE.read_text()
    for old, new in (
        ("/var/log/maillog", str(place / "maillog")),
        ("/var/spool/poprelay", str(place / "spool")),
        ("/etc/mail/access", str(sendmail.access)),
        ("/usr/sbin/makemap", str(sendmail.makemap)),
        ("= 3600", "= 4"),
    ):
        assert old in text, old
        text = text.replace(old, new)
    config.write_text(text)
    return config


def test_the_red_hat_sample_lets_an_address_relay_through_sendmail_for_a_period(
    place: Path, network: Network, stopping: ExitStack
) -> None:
    sendmail = Sendmail(place / "sendmail")
    sendmail.access.write_text("9.9.9.254 REJECT\n")
    log = place / "maillog"
    log.touch()
    command = Path(sys.executable).with_name("poprelay_ipop3d")
    daemon = Running("poprelay_ipop3d", [str(command), str(configured(place, sendmail))], output=place / "daemon.log")
    stopping.callback(lambda: daemon.alive() and daemon.stop())
    daemon.ready(sendmail.access.with_suffix(".db").exists)
    sendmail.start()
    stopping.callback(sendmail.stop)

    def code(source: str, recipient: str = OUTSIDE) -> int:
        with Smtp(network.connect(source, sendmail.port)) as client:
            return client.ask(recipient).code

    assert (code(ANN4), code(ANN4, LOCAL)) == (550, 250)

    with log.open("a") as lines:
        lines.write(LINE.format(stamp=time.strftime("%b %d %H:%M:%S"), pid=77, user="ann", address=ANN4))

    until(lambda: code(ANN4) == 250, seconds=4.0)
    assert code(BOB4) == 550
    assert "9.9.9.254 REJECT" in sendmail.access.read_text(), "what a person wrote stays"
    until(lambda: code(ANN4) == 550, seconds=10.0)
    assert daemon.stop() == 0
