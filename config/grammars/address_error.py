"""The one error of all address grammars."""


class AddressError(ValueError):
    """The address is not in its grammar; the text gives the reason and, if there is one, the right spelling."""
