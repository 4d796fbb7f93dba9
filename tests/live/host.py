"""A host with one packaged server installed, as far as its programs can see: /usr, /etc, /run and /var are its own."""

from __future__ import annotations

import stat
import subprocess
import sys
import tarfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Final

from live.packages import staged
from live.rooted import make_root
from live.running import Running, until

SOURCE: Final = Path(__file__).parents[2] / "src"


class Host:
    """Commands run on it by `run`, one after the other or at once; `root` holds what they have written."""

    def __init__(self, name: str, place: Path, *, daemons: tuple[str, ...] = ()) -> None:
        place.mkdir()
        self.root = make_root(place, daemons=daemons)
        (self.root / "var/poprelay-live").mkdir()
        self._running = Running(name, staged(name, "true", root=self.root), output=place / "printed")
        children = Path(f"/proc/{self._running.pid}/task/{self._running.pid}/children")
        until(lambda: bool(children.read_text().strip()))
        self._pid = children.read_text().split()[0]
        # /var is laid over last
        until(lambda: self.run("test", "-d", "/var/poprelay-live", check=False).returncode == 0)
        open_to_all(self.run, place)

    def run(self, *command: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command there to its end. What it printed is shown if it fails and that was not expected."""
        words = self.words(*command)
        done = subprocess.run(words, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        assert not check or done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def words(self, *command: str | Path) -> list[str]:
        """The command line for that."""
        return ["nsenter", "--target", self._pid, "--mount", "--pid", "--", *map(str, command)]

    def files(self, *tops: str) -> dict[str, tuple[str, bytes]]:
        """Every file below these directories: its mode and owner, and its content."""
        found: dict[str, tuple[str, bytes]] = {}
        packed = subprocess.run(
            self.words("tar", "--create", "--absolute-names", "--hard-dereference", *tops),
            capture_output=True, check=True,
        ).stdout  # fmt: skip
        with tarfile.open(fileobj=BytesIO(packed)) as files:
            for file in filter(tarfile.TarInfo.isfile, files):
                content = files.extractfile(file)
                assert content is not None
                found[f"/{file.name.lstrip('/')}"] = f"{file.mode:o} {file.uname}:{file.gname}", content.read()
        return found

    def start(self, name: str, command: list[str], output: Path) -> Running:
        """Start a daemon there; it ends with the host, if not before."""
        return Running(name, self.words(*command), output=output)

    def stop(self) -> None:
        self._running.kill()


def open_to_all(run: Callable[..., object], place: Path) -> None:
    """Let every account get at poprelay and its Python, where `run` runs: a folder above may be its owner's alone."""
    for number, folder in enumerate(_closed(Path(sys.executable).resolve(), Path(sys.prefix), SOURCE)):
        upper, work = place / f"open{number}", place / f"work{number}"
        upper.mkdir(mode=0o755)
        work.mkdir()
        layers = f"lowerdir={folder},upperdir={upper},workdir={work}"
        run("mount", "-t", "overlay", "overlay", "-o", layers, str(folder))


def _closed(*paths: Path) -> list[Path]:
    """The directories above these that only their owner may pass: poprelay's account must get at poprelay."""
    folders = dict.fromkeys(folder for path in paths for folder in reversed(path.parents))
    return [folder for folder in folders if not folder.stat().st_mode & stat.S_IXOTH]
