"""The published vectors: C2SP signed-note and tlog-checkpoint, and the reference proofs of RFC 6962 (certificate-transparency project)."""

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from buffer import chain, keys
from buffer.verify import Checkpoint, Key, Tree, leaf_hash, root_of_some

# c2sp.org/signed-note, verifier keys, example
FOO = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
EXAMPLE = (
    "This is an example message.\n\n"
    "\u2014 example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)
# c2sp.org/tlog-checkpoint, and c2sp.org/tlog-cosignature, which adds a witness's line; the log's public key is published nowhere
SOFA = (
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
    "\u2014 example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
)
WITNESSED = "jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA=="
COSIGNED = f"{SOFA}\u2014 witness.example.com/w1 {WITNESSED}\n"


@pytest.mark.urs("URS-AUD-04")
def test_the_example_of_the_signed_note_specification_verifies_with_its_key() -> None:
    key = Key.parse(FOO)

    assert key.signed(EXAMPLE)
    assert (key.name, key.id.hex()) == ("example.com/foo", "530d903a")


@pytest.mark.parametrize(
    "note",
    [
        EXAMPLE.replace("an example", "another example"),
        EXAMPLE.replace("message.\n\n", "message.\n"),
        EXAMPLE.replace("message.", "message.\r"),
        EXAMPLE.rstrip("\n"),
        EXAMPLE.replace("example.com/foo", "example.com/bar"),
        EXAMPLE.replace("Uw2QOkn8", "Uw2QOkn9"),
        EXAMPLE + EXAMPLE.rpartition("\n\n")[2].replace("Uw2QOkn8", "Uw2QOkn9"),  # one that fails spoils the note
        EXAMPLE.replace("\u2014", "-"),
    ],
)
def test_a_changed_example_does_not_verify(note: str) -> None:
    assert not Key.parse(FOO).signed(note)


def test_signatures_of_others_are_passed_over() -> None:
    text, _, signature = EXAMPLE.rpartition("\n\n")
    strangers = "".join(f"\u2014 example.com/w{n} {base64.b64encode(bytes(100)).decode()}\n" for n in range(16))

    assert Key.parse(FOO).signed(f"{text}\n\n{strangers}{signature}")
    same_name = f"\u2014 example.com/foo {base64.b64encode(bytes(68)).decode()}\n"
    assert Key.parse(FOO).signed(f"{text}\n\n{same_name}{signature}"), "the same name with another id is another key"


@pytest.mark.parametrize(
    "text", [FOO.replace("530d903a", "530d903b"), FOO.replace("+Aeky", "+Beky"), "example.com/foo+530d903a", FOO + "AA"]
)
def test_what_is_no_verifier_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Key.parse(text)


def test_the_key_id_is_computed_as_the_specification_says() -> None:
    signer = keys.Signer("lyon/granulation-2", Ed25519PrivateKey.generate())
    name, id_, coded = signer.public.split("+", 2)
    raw = base64.b64decode(coded)

    assert (name, raw[0], len(raw)) == ("lyon/granulation-2", 1, 33)
    assert id_ == hashlib.sha256(name.encode() + b"\x0a" + raw).hexdigest()[:8]


@pytest.mark.urs("URS-AUD-04")
@pytest.mark.parametrize("note", [SOFA, COSIGNED])
def test_the_example_of_the_checkpoint_specification_is_read(note: str) -> None:
    checkpoint = Checkpoint.parse(note)

    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
    assert base64.b64encode(checkpoint.root).decode() == note.split("\n")[2]


def test_our_checkpoint_of_the_examples_tree_is_the_examples_text() -> None:
    example = Checkpoint.parse(SOFA)

    assert keys.checkpoint_text(example.origin, example.size, example.root) == SOFA.rpartition("\n\n")[0] + "\n"


@pytest.mark.parametrize(
    "note",
    [
        SOFA.replace("20852163", "+20852163"),
        SOFA.replace("20852163", "\u0662"),
        SOFA.replace("20852163\n", "20852163\r\n"),
        SOFA.replace("example.com/behind-the-sofa\n", "\n", 1),
        SOFA.replace("CsUY", "CsU"),
        SOFA.replace("2I=", "2I=="),
    ],
)
def test_what_is_no_checkpoint_is_refused(note: str) -> None:
    with pytest.raises(ValueError):
        Checkpoint.parse(note)


LEAVES = [
    chain.leaf(bytes.fromhex(text))
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = {
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    5: "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}
NODES = {
    "6e": "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "96": "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
    "5f": "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
    "6b": "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    "bc": "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    "ca": "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
    "d3": "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "fa": "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "0e": "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
}


@pytest.mark.urs("URS-AUD-04")
@pytest.mark.parametrize(
    ("index", "size", "path"),
    [(0, 1, []), (0, 8, ["96", "5f", "6b"]), (5, 8, ["bc", "ca", "d3"]), (2, 3, ["fa"]), (1, 5, ["6e", "5f", "bc"])],
)
def test_inclusion_proofs_are_the_reference_ones(index: int, size: int, path: list[str]) -> None:
    proof = chain.inclusion(index, LEAVES[:size])

    assert [one.hex() for one in proof] == [NODES[name] for name in path]
    root = chain.root_from_inclusion(index, size, LEAVES[index], proof)
    assert root.hex() == ROOTS.get(size, LEAVES[0].hex())
    assert root_of_some({index: LEAVES[index]}, size, _left_to_right(index, size, proof)) == root


def _left_to_right(index: int, size: int, path: list[bytes]) -> list[bytes]:
    """The same hashes in the order in which an archive's proof has them."""
    left: list[bytes] = []
    right: list[bytes] = []
    low, high = 0, size
    for hash_ in reversed(path):
        cut = low + (1 << (high - low - 1).bit_length() - 1)
        if index < cut:
            right.insert(0, hash_)
            high = cut
        else:
            left.append(hash_)
            low = cut
    return left + right


@pytest.mark.urs("URS-AUD-04")
@pytest.mark.parametrize(
    ("old", "size", "path"), [(1, 1, []), (1, 8, ["96", "5f", "6b"]), (6, 8, ["0e", "ca", "d3"]), (2, 5, ["5f", "bc"])]
)
def test_consistency_proofs_are_the_reference_ones(old: int, size: int, path: list[str]) -> None:
    assert [one.hex() for one in chain.consistency(old, LEAVES[:size])] == [NODES[name] for name in path]


@pytest.mark.parametrize("size", ROOTS)
def test_the_verifier_computes_the_reference_roots_by_its_own_code(size: int) -> None:
    tree = Tree()
    for leaf in LEAVES[:size]:
        tree.append(leaf)

    assert Tree.over(tree.peaks()).hex() == ROOTS[size]
    assert leaf_hash(b"") == LEAVES[0]
