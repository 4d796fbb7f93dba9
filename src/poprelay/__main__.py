"""`python -m poprelay`: the command, where its script is not on PATH."""

from __future__ import annotations

from poprelay.cli.main import main

main()
