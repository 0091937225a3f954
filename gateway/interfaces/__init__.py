"""What each interface of a line promises to its other side, and the digest of that: so two versions, or two lines, are compared.

A contract holds what the other side relies on: protocol, protection, data fields with types and units, what this release sends and how it
answers. Not in it: where somebody is reached, who answers for it, limits of a recipe, words for people. So a digest that stays says that
the other side need not look again; one that changes says at which interface it must. What this release contributes stands in
`release.json`, made from the code by `gateway.validation.specification`; a test holds it against the code.
"""

from gateway.interfaces.contract import Digests, canonical, contracts, digest_of, digests, whole

__all__ = ["Digests", "canonical", "contracts", "digest_of", "digests", "whole"]
