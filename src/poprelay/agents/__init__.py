"""Agents: how each POP/IMAP server says login and logout. One module per server."""
