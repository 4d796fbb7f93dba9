"""Bytes to events: finding the candidate lines, reading their headers, joining lines that belong together."""

from poprelay.scan.scanned import Scanned
from poprelay.scan.scanner import Scanner

__all__ = ["Scanned", "Scanner"]
