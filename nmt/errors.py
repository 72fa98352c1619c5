"""The one error that a user is meant to read."""

USER_ERROR = 2
"""Exit status of a command that ends with it."""


class UserError(Exception):
    """Something that the user can mend: one line that says what is wrong, where, and the mend.

    Commands print it on standard error and exit with status 2, without a traceback.
    """
