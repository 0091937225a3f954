"""RFC 6962 section 2.1 against the reference vectors of the certificate-transparency project, and against the RFC's own definition."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buffer import chain

INPUTS = [
    bytes.fromhex(text) for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
LEAVES = [chain.leaf(data) for data in INPUTS]


def test_the_empty_tree() -> None:
    assert chain.root([]).hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.urs("URS-AUD-04")
@pytest.mark.parametrize("size", range(1, 9))
def test_roots_are_those_of_the_reference_vectors(size: int) -> None:
    tree = chain.Tree()
    for leaf in LEAVES[:size]:
        tree.append(leaf)

    assert chain.root(LEAVES[:size]).hex() == ROOTS[size - 1]
    assert tree.root().hex() == ROOTS[size - 1]


def test_an_inclusion_proof_is_that_of_the_reference_vectors() -> None:
    assert [one.hex() for one in chain.inclusion(5, LEAVES[:8])] == [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]


def test_a_consistency_proof_is_that_of_the_reference_vectors() -> None:
    assert [one.hex() for one in chain.consistency(6, LEAVES[:8])] == [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]


def root_by_definition(leaves: list[bytes]) -> bytes:
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + root_by_definition(leaves[:k]) + root_by_definition(leaves[k:])).digest()


@given(st.integers(0, 300), st.data())
def test_tree_root_and_proofs_agree_with_the_definition(size: int, data: st.DataObject) -> None:
    leaves = [chain.leaf(b"%d" % i) for i in range(size)]
    tree = chain.Tree()
    for leaf in leaves:
        tree.append(leaf)
    assert chain.root(leaves) == tree.root() == root_by_definition(leaves)
    if size:
        index = data.draw(st.integers(0, size - 1))
        path = chain.inclusion(index, leaves)
        assert chain.root_from_inclusion(index, size, leaves[index], path) == tree.root()
        assert chain.root_from_inclusion(index, size, chain.leaf(b"other"), path) != tree.root()


@pytest.mark.parametrize("path", [[], [bytes(32)] * 2, [bytes(32)] * 4])
def test_a_path_of_the_wrong_length_is_refused(path: list[bytes]) -> None:
    with pytest.raises(ValueError, match=r"audit path|is not in"):
        chain.root_from_inclusion(5, 8, LEAVES[5], path)


def test_whole_segments_may_be_added_by_their_root() -> None:
    leaves = [chain.leaf(b"%d" % i) for i in range(4096 * 2 + 77)]
    tree = chain.Tree()
    for first in (0, 4096):
        tree.append(chain.root(leaves[first : first + 4096]), 4096)
    for leaf in leaves[8192:]:
        tree.append(leaf)

    assert tree.root() == chain.root(leaves)
    with pytest.raises(ValueError, match="can not begin"):
        tree.append(bytes(32), 4096)
