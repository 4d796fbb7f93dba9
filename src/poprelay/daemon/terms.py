"""What `[relay]` and `[[standing]]` say, as the ledger and its rules take it."""

from __future__ import annotations

from poprelay.address import widened
from poprelay.config.settings import Settings
from poprelay.ledger.rules import Rules, RuleTerms, Surroundings
from poprelay.ledger.terms import Terms


def terms_of(settings: Settings) -> Terms:
    """The numbers of `[relay]`, and what always stands, as the ledger takes them."""
    numbers = {name: getattr(settings.relay, name) for name in Terms.__struct_fields__ if name != "standing"}
    width = settings.relay.ipv6_prefix
    standing = {(widened(one.address, width), one.user): one.reason for one in settings.standing}
    return Terms(**numbers, standing=standing)


def rules_of(settings: Settings, surroundings: Surroundings | None = None) -> Rules:
    """The rules of `[relay]`, among what was last seen around."""
    terms = RuleTerms(**{name: getattr(settings.relay, name) for name in RuleTerms.__struct_fields__})
    return Rules(terms, surroundings)
