"""The two kinds of failure that a user can do something about."""


class InputError(ValueError):
    """Input that cannot be used: the message names the file and the remedy. The command line exits with code 2."""


class MissingDependency(RuntimeError):
    """Something optional that is not installed: the message says what to install. The command line exits with code 3."""
