"""Reads lots.toml and proves its rules. A rule set that could mix up two lots is refused (URS-CTX-06)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field

from config.lots.proof import Language, ProofError, language, proven
from config.lots.rules import FIELD, MAX_PATTERN, MAX_RULES, MAX_SUBJECT, LotRule, LotRules
from config.problem import Problem, did_you_mean
from config.sections import Model
from config.toml.document import validated
from config.toml.text import Document, Path_, parse


class RuleTable(Model):
    """One [[rule]] of lots.toml."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]
    pattern: Annotated[str, Field(min_length=1, max_length=MAX_PATTERN)]
    canonical: Annotated[str, Field(min_length=1, max_length=MAX_PATTERN)]
    sources: tuple[str, ...] = ()
    examples: Mapping[str, str] = {}


@dataclass(slots=True)
class LotsFile:
    """The content of lots.toml: its rules, or the problems."""

    rules: LotRules = field(default_factory=LotRules)
    problems: list[Problem] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Candidate:
    at: Path_
    rule: LotRule
    language: Language


def read(data: bytes | None, sources: list[str]) -> LotsFile:
    """Read and prove the rules, with every problem. sources: names of the line's sources."""
    if data is None:
        return LotsFile()
    document = parse("lots.toml", data)
    version = document.data.get("version")
    if document.data and not isinstance(version, str):
        document.error(("version",), 'write version = "1", and a new one after each change')
    for key in document.data:
        if key not in ("version", "rule"):
            document.error((key,), f"unknown key `{key[:60]}`{did_you_mean(key, ['version', 'rule'])}")
    candidates = _candidates(document, sources)
    _compare(document, candidates)
    if document.problems or not isinstance(version, str):
        return LotsFile(problems=document.problems)
    return LotsFile(LotRules(version, tuple(candidate.rule for candidate in candidates)))


def _candidates(document: Document, sources: list[str]) -> list[_Candidate]:
    tables = document.data.get("rule", [])
    if not isinstance(tables, list) or len(tables) > MAX_RULES:
        document.error(("rule",), f"write [[rule]], at most {MAX_RULES} times")
        return []
    candidates = []
    for index, data in enumerate(tables):
        table = validated(document, ("rule", index), RuleTable, data)
        if table is not None and (candidate := _candidate(document, ("rule", index), table, sources)) is not None:
            candidates.append(candidate)
    return candidates


def _candidate(document: Document, at: Path_, table: RuleTable, sources: list[str]) -> _Candidate | None:
    for name in table.sources:
        if name not in sources:
            document.error((*at, "sources"), f"unknown source `{name[:60]}`{did_you_mean(name, sources)}")
    leftover = FIELD.sub("", table.canonical)
    if "{" in leftover or "}" in leftover:
        document.error((*at, "canonical"), "write fields as {name}, {name:04} or {name:upper}, with names of the pattern's groups")
        return None
    try:
        automaton = language(table.pattern)
        proven(automaton, table.canonical)
    except ProofError as error:
        document.error((*at, "canonical" if error.is_of_canonical else "pattern"), str(error))
        return None
    rule = LotRule(table.name, automaton.compiled, table.canonical, table.sources, table.examples)
    _run_examples(document, at, rule)
    return _Candidate(at, rule, automaton)


def _run_examples(document: Document, at: Path_, rule: LotRule) -> None:
    """Run the test vectors of a rule (URS-MAP-09)."""
    if not rule.examples:
        document.error(at, f'rule `{rule.name}` needs an example: examples = {{ "as the source writes" = "canonical" }}')
    for raw, wanted in rule.examples.items():
        made = rule.of(raw) if len(raw) <= MAX_SUBJECT else None
        if made != wanted:
            document.error((*at, "examples", raw), f"`{raw[:60]}` becomes `{made}`, not `{wanted[:60]}`")


def _compare(document: Document, candidates: list[_Candidate]) -> None:
    """Compare the rules of each source: no lot matches two of them, and no two lots get one number."""
    for index, candidate in enumerate(candidates):
        for other in candidates[:index]:
            if candidate.rule.name == other.rule.name:
                document.error((*candidate.at, "name"), f"rule `{candidate.rule.name}` stands twice")
            if candidate.rule.sources and other.rule.sources and not set(candidate.rule.sources) & set(other.rule.sources):
                continue
            if (lot := candidate.language.meets(other.language)) is not None:
                document.error((*candidate.at, "pattern"), f"lot `{lot}` matches rule `{other.rule.name}` too")
            if (number := candidate.language.image(candidate.rule.canonical).meets(other.language.image(other.rule.canonical))) is not None:
                document.error(
                    (*candidate.at, "canonical"),
                    f"two lots of one source can become `{number}`: by rule `{other.rule.name}` and by this one",
                )
