"""Writes the samples in `packaging/samples` in our own form, `NAME.toml`, from those in Mail::POPRelay's, `NAME.conf`.

    .venv/bin/python packaging/samples.py

A test holds them equal to what `poprelay import` makes, below a first line of their own, so that they cannot drift.
"""

from __future__ import annotations

from pathlib import Path

from poprelay.daemon.heritage.legacy import read_old

HEAD = """\
# What `poprelay import` makes of {old}: no start for a new installation, that is packaging/poprelay.toml
"""
SAMPLES = Path(__file__).resolve().parent / "samples"


def samples() -> dict[str, str]:
    """Every sample in our own form: file name and text."""
    return {
        f"{old.stem}.toml": HEAD.format(old=old.name) + read_old(old).text for old in sorted(SAMPLES.glob("*.conf"))
    }


def main() -> None:
    for name, text in samples().items():
        (SAMPLES / name).write_text(text)


if __name__ == "__main__":
    main()
