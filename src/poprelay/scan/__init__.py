"""Bytes to events: finding the candidate lines, reading their headers, joining lines that belong together."""

from poprelay.scan.scanner import Scanned, Scanner

__all__ = ["Scanned", "Scanner"]
