"""Topics of control: who changed what and with whose approval, what was reviewed, qualified and disposed of. Pure."""

from collections.abc import Mapping
from typing import Any

from buffer.pages.blocks import Block, Heading, NamedValues, Text
from gateway.validation.review.gathering import Gathered
from gateway.validation.review.requalification import GOOD, PERFORMANCE, STAGES, Needed
from gateway.validation.review.topic import IN_ORDER, LOOK, NOT_CHECKED, Topic, acts_of, more, plain, table, utc

RUNS = (*STAGES, PERFORMANCE, "verification", "restore-test")
MOST_NAMED = 40


def configurations(made: Gathered) -> Topic:
    """Versions of the configuration that began, and what persons did about them."""
    rows = [
        (
            utc(one["time"]),
            str(one["version"]),
            one["sha256"][:16],
            one["state"] or "not controlled",
            one["author"] or "",
            _approved(one),
            plain(one["change_no"]),
            plain(one["changes"]),
        )
        for one in made.configurations.kept
    ]
    marked = frozenset(
        at for at, one in enumerate(made.configurations.kept) if one["emergency"] or (one["state"] and not one["approved_by"])
    )
    titles = ("Began", "Version", "SHA-256", "State", "Author", "Approved by", "Change no.", "Changes")
    acts = made.rows["config"]
    blocks = [
        *table(titles, (3, 1, 3, 2, 2, 2, 2, 1), rows, marked),
        *more(made.configurations),
        Heading(2, "What was done about versions"),
        *acts_of(acts),
    ]
    unapproved = [one for one in made.configurations.kept if not one["approved_by"]]
    by_nobody = f"{len(unapproved)} of them approved by nobody that is known"
    found = f"{made.configurations.count} configurations in force, {by_nobody}; {acts.count} acts"
    facts = {"in_force": made.configurations.count, "unapproved": len(unapproved), "acts": acts.count}
    verdict = LOOK if marked or unapproved else IN_ORDER
    return Topic("configuration", "Changes of the configuration, and approvals", verdict, found, blocks, facts)


def _approved(one: Mapping[str, Any]) -> str:
    return f"{one['approved_by'] or 'nobody that is known'}{'; emergency' if one['emergency'] else ''}"


def software(made: Gathered) -> Topic:
    """Versions of the software that ran."""
    rows = [(name, utc(one.first), utc(one.last), str(one.starts), str(one.unclean)) for name, one in made.software.items()]
    marked = frozenset(at for at, row in enumerate(rows) if row[4] != "0")
    told = table(("Version", "First start", "Last start", "Starts", "After an end that was not in order"), (2, 3, 3, 1, 3), rows, marked)
    starts, unclean = (sum(getattr(one, name) for one in made.software.values()) for name in ("starts", "unclean"))
    found = f"{', '.join(made.software) or 'no start in the period'}; {starts} starts, {unclean} unclean"
    return Topic(
        "software", "Versions of the software", IN_ORDER, found, [*told], {name: one.starts for name, one in made.software.items()}
    )


def users(made: Gathered) -> Topic:
    """Changes of users and roles, and how often somebody was refused."""
    changed, logins = made.rows["users"], made.logins
    counts = [(name, f"{logins[name]:,}") for name in ("login", "refused", "refused-more") if logins[name]]
    reports = [one for one in made.documents.kept if one["document"] == "access-report"]
    signed = [one for one in reports if any(each.get("role") == "qa" for each in one["signatures"] or ())]
    counts += [("Access lists made", str(len(reports))), ("of them signed by somebody of role qa", str(len(signed)))]
    found = f"{changed.count} changes; {len(signed)} access lists signed by role qa"
    facts = {"changes": changed.count, "refused": logins["refused"], "access_lists_signed": len(signed)}
    return Topic(
        "users",
        "Users and roles",
        IN_ORDER if signed else LOOK,
        found,
        [NamedValues(counts), Heading(2, "Changes"), *acts_of(changed)],
        facts,
    )


def reviews(made: Gathered) -> Topic:
    """Reviews of audit trails: those that were made, and batches without one."""
    rows = [
        (
            utc(one["time"]),
            f"batch {one['batch']}" if one["batch"] else _scope(one["scope"] or {}),
            str((one["reviewer"] or {}).get("name")),
            str(len(one["deviations"] or ())),
        )
        for one in made.reviews.kept
    ]
    missing = [batch for batch in made.batches if batch not in made.reviewed]
    blocks: list[Block] = [*table(("When", "Of", "By", "Questioned"), (3, 5, 3, 1), rows), *more(made.reviews)]
    if missing:
        others = f", and {len(missing) - MOST_NAMED} more" if len(missing) > MOST_NAMED else ""
        blocks.append(
            Text(f"Batches that ended, and whose audit trail nobody has reviewed: {', '.join(missing[:MOST_NAMED])}{others}", marked=True)
        )
    if made.more_batches:
        blocks.append(Text(f"{made.more_batches:,} more batches ended than are compared with reviews.", marked=True))
    found = f"{made.reviews.count} reviews; {len(missing)} of {len(made.batches)} batches that ended are not reviewed"
    verdict = NOT_CHECKED if made.more_batches else LOOK if missing else IN_ORDER
    return Topic("reviews", "Reviews of the audit trail", verdict, found, blocks, {"made": made.reviews.count, "missing": missing[:1_000]})


def _scope(scope: Mapping[str, Any]) -> str:
    return f"{utc(str(scope.get('from')))} to {utc(str(scope['to'])) if scope.get('to') else 'then'}"


def deviations(made: Gathered) -> Topic:
    """Runs that did not pass, and what was disposed of; other documents."""
    runs = [one for one in made.documents.kept if one["document"] in RUNS]
    rows = [(utc(one["time"]), one["title"], str(one["result"]), *_disposed(made, one)) for one in runs]
    open_ = [
        at
        for at, one in enumerate(runs)
        if one["result"] not in GOOD and made.dispositions.get(str(one["id"]), {}).get("result") not in GOOD
    ]
    others = [
        (utc(one["time"]), one["title"], str(one["result"] or "judges nothing"), _signers(one))
        for one in made.documents.kept
        if one["document"] not in RUNS
    ]
    blocks = [
        *table(("Recorded", "Run", "Its result", "With dispositions", "Open", "Signed"), (3, 5, 2, 3, 2, 4), rows, frozenset(open_)),
        Heading(2, "Other documents"),
        *table(("Recorded", "Document", "Result", "Signed"), (3, 6, 2, 4), others),
        *more(made.documents),
    ]
    found = f"{len(runs)} runs, {len(open_)} of them neither passed nor passed with dispositions"
    verdict = NOT_CHECKED if made.documents.count > len(made.documents.kept) else LOOK if open_ else IN_ORDER
    return Topic("deviations", "Deviations and their dispositions", verdict, found, blocks, {"runs": len(runs), "open": len(open_)})


def _disposed(made: Gathered, run: Mapping[str, Any]) -> tuple[str, str, str]:
    one = made.dispositions.get(str(run["id"]))
    if run["result"] in GOOD:
        return "", "", _signers(run)
    return (str(one["result"]), str(one["open"]), _signers(run)) if one else ("nothing was disposed of", "all", _signers(run))


def _signers(one: Mapping[str, Any]) -> str:
    return "; ".join(f"{each['name']}: {each['meaning']}" for each in one["signatures"] or ()) or "nobody"


def requalification(needed: Needed) -> Topic:
    """Whether the line has to be qualified again."""
    rows = [(reason, "yes") for reason in needed.reasons] + [(what, NOT_CHECKED) for what in needed.unknown]
    blocks: list[Block] = [
        Text(f"Requalification needed: {needed.answer}", marked=needed.answer != "no"),
        *table(("Reason", "Asks for it"), (10, 2), rows),
    ]
    blocks.append(Text("Which tests a change asks for: `qualify impact` and `config impact`."))
    verdict = {"yes": LOOK, "no": IN_ORDER}.get(needed.answer, NOT_CHECKED)
    facts = {"needed": needed.answer, "reasons": needed.reasons, "not_checked": needed.unknown}
    return Topic("requalification", "Requalification", verdict, f"needed: {needed.answer}; {len(needed.reasons)} reasons", blocks, facts)
