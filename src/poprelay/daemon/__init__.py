"""Where the parts meet: wiring, the supervisor, the operations behind the commands, signals, systemd."""
