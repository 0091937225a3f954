"""Write the traceability that the next release carries: gateway/validation/traceability/release.json. `make rtm`.

    rtm.py                        write it
    rtm.py justify FILE "WHO"     sign what is open, with the key that signs releases: name and function of who answers for it

It is made from docs/validation, the marks of the tests, and the results of `make test` and `make faults` over these very files. What is
wrong, failed or did not run is told, and nothing is written.
"""

import sys
from datetime import UTC, datetime
from pathlib import Path

from buffer import keys
from gateway.validation.traceability import justifications
from gateway.validation.traceability.matrix import counts, row_of
from gateway.validation.traceability.problems import of_designs, of_results, problems
from gateway.validation.traceability.results import RELEASE_FILE
from gateway.validation.traceability.snapshot import of_tree as of_files
from gateway.validation.traceability.snapshot import plain
from gateway.validation.traceability.tree import dumps, of_tree

KEY_NAME = "ebr-gateway-release"


def main() -> None:
    """Run one of the two. Exit 1 with lines that say why it can not be done."""
    words = sys.argv[1:]
    if not words:
        write(Path.cwd())
    elif len(words) == 3 and words[0] == "justify":
        justify(Path.cwd(), Path(words[1]), words[2].strip())
    else:
        sys.exit('rtm: give nothing, or `justify KEYFILE "name, function"`')


def justify(tree: Path, key: Path, who: str) -> None:
    """Have a person answer for every requirement that is not built, is built in part, or is proved by no test, as it stands now."""
    if "," not in who or "\n" in who:
        sys.exit('rtm: who answers for it? "name, function"')
    try:
        signer = keys.load(key, KEY_NAME)
    except (OSError, keys.KeyUnusable) as error:
        sys.exit(f"rtm: {error}")
    told = of_tree(tree, [])
    open_ = [row for row in told.requirements if row.state != "built" or row_of(row, told)["result"] == "no test"]
    for row in open_:
        print(f"{row.id} ({row.risk}) {row.state}: {row.remark or 'no test'}")
    at = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    (tree / justifications.NOTE).write_text(signer.note(justifications.text_of(who, at, open_)), "utf-8")
    print(f"{justifications.NOTE}: {len(open_)} requirements justified by {who}; commit it, then `make rtm`")


def write(tree: Path) -> None:
    """Write the file, or say in lines why not and exit with 1."""
    told = of_tree(tree)
    rows = [row_of(requirement, told) for requirement in told.requirements]
    found = [*problems(told), *of_designs(told, tree), *of_results(rows)]
    for line in (*(f"not counted: {text}" for text in told.left), *map(str, found)):
        print(line, file=sys.stderr)
    if not told.results.runs:
        print("there are no results of these files: run `make test` and `make faults`", file=sys.stderr)
    if found or not told.results.runs:
        sys.exit(1)
    (tree / RELEASE_FILE).write_text(dumps(told, {"build": plain(of_files(tree))}), "utf-8")
    print(f"{RELEASE_FILE}: {counts(told, rows)['by_result']}")


if __name__ == "__main__":
    main()
