"""The commands, one module each."""

from __future__ import annotations

from poprelay.cli.main import main

__all__ = ["main"]
