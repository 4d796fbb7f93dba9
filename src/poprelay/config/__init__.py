"""The config file to typed settings; every mistake in it found in one run."""
