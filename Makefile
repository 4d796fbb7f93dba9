# The front door: what a person runs, CI runs too.
