"""One module per MTA: how to find it, what its config needs, what it trusts anyway."""
