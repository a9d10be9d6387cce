"""The one exception for mistakes that a user can mend."""


class MaskmillError(ValueError):
    """A user's mistake: says what was wrong, what was got, what is allowed, and where to change it."""
