"""`poprelay setup`: finds what runs here, changes it, proves it, or puts everything back."""
