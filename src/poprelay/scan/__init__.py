"""Bytes to events: finding the candidate lines, reading their headers, joining lines that belong together."""
