"""What a user can do wrong, said in one sentence."""


class QbsweepError(Exception):
    """A user's mistake: the message says what was wrong, where, and what would be right."""

    def _render_traceback_(self) -> list[str]:
        """Return what a notebook shows: the sentence, for the frames above it say nothing about the mistake."""
        return [f"{type(self).__name__}: {self}"]


class UnreadableError(QbsweepError):
    """A dataset that cannot be read: whatever was asked of it, nothing can be said."""
