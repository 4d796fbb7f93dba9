"""What we log ourselves: as text or JSON, to standard error or to syslog."""
