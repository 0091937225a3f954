"""The validation package: what a plant needs to show that this software is fit for its use, made by the product itself.

`traceability` holds requirements, the tests that prove them, and their last results; `specification` what each interface of a line promises.
A plant's own qualification (IQ, OQ, PQ) belongs here too.
"""
