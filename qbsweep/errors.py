"""What a user can do wrong, said in one sentence."""


class QbsweepError(Exception):
    """A user's mistake: the message says what was wrong, where, and what would be right."""
