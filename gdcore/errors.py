"""The one exception that means «the input is wrong», as opposed to «the program is»."""


class UserError(ValueError):
    """Something the user gave cannot be used.

    The message is one paragraph: what was wrong (file, line or key), what was expected, what to do.
    The command line prints it without a traceback and exits with status 2.
    """


class Diverged(UserError):
    """A loss is no longer a number, nor is anything that would be learnt from it."""
