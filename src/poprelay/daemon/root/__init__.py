"""Root's part: a fixed list of commands, run for the daemon by a unit of root's own."""
