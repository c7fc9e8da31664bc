"""The one exception that people, rather than programmers, are meant to read."""


class UserError(Exception):
    """Bad input, told in one sentence: what was found, where, and what was expected.

    The command prints it without a traceback and exits with code 2.
    """
