"""The one error of all address grammars."""


class AddressError(ValueError):
    """The address is no sentence of its grammar; the text gives the reason and, where there is one, the way out."""
