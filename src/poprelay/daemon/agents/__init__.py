"""An operator's own agents: read from files and from the config, checked, and timed on hostile lines."""
