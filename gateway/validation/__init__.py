"""The validation package: what a plant needs to show that this software is fit for its use, made by the product itself.

`qualification` says of an installation what is installed (IQ), what it does (OQ) and how it performs (PQ); `traceability` holds
requirements, the tests that prove them, and their last results; `specification` what each interface of a line promises. Nothing here
writes to a line's record, but for the documents that it makes. What could not be checked is `not checked`, with the reason, and what was
not executed is listed as that: neither is ever counted as passed.
"""
