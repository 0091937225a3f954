"""Write the traceability that the next release carries: gateway/validation/traceability/release.json. `make rtm`.

It is made from docs/validation, the marks of the tests, and the results of `make test` and `make faults` over these very files. What is
wrong, failed or did not run is told, and nothing is written.
"""

import sys
from pathlib import Path

from gateway.validation.traceability.matrix import counts, row_of
from gateway.validation.traceability.problems import of_designs, of_results, problems
from gateway.validation.traceability.results import RELEASE_FILE
from gateway.validation.traceability.snapshot import of_tree as of_files
from gateway.validation.traceability.snapshot import plain
from gateway.validation.traceability.tree import dumps, of_tree


def main() -> None:
    """Write the file, or say in lines why not and exit with 1."""
    tree = Path.cwd()
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
