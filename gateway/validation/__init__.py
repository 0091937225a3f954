"""The validation package: what a plant needs to show that this software is fit for its use.

`traceability` holds requirements, the tests that prove them, and their last results. A plant's own qualification (IQ, OQ, PQ) and the
specification of interfaces belong here too.
"""
