"""Mail::POPRelay's config, classes and spool, on our ledger and maps."""
