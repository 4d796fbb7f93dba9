"""What `[relay]` says, as the ledger and its rules take it."""

from __future__ import annotations

from poprelay.config.settings import Settings
from poprelay.ledger.rules import Rules, RuleTerms, Surroundings
from poprelay.ledger.terms import Terms


def terms_of(settings: Settings) -> Terms:
    """The numbers of `[relay]`, as the ledger takes them."""
    return Terms(**{name: getattr(settings.relay, name) for name in Terms.__struct_fields__})


def rules_of(settings: Settings, surroundings: Surroundings | None = None) -> Rules:
    """The rules of `[relay]`, among what was last seen around."""
    terms = RuleTerms(**{name: getattr(settings.relay, name) for name in RuleTerms.__struct_fields__})
    return Rules(terms, surroundings)
