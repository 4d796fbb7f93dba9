"""All live grants, revocations and denials, and the history of every change."""
