"""The specification of every interface of a line, from the running code and the line folder (URS-VAL-01, URS-MAP-10).

Nothing here is written by hand that the code knows: messages are the models of the entries, reactions are asked of the functions that
react, codes are those that the program can give, fields come from the map. What only people know (who answers for it) and nobody said is
a gap, and named as such.
"""

from gateway.validation.specification.document import FORM, specification
from gateway.validation.specification.files import files, written
from gateway.validation.specification.pages import drafted

__all__ = ["FORM", "drafted", "files", "specification", "written"]
