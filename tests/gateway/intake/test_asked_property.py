"""What is noted of tags that are asked together is noted once; what is said of each is what is noted of each alone."""

from hypothesis import given
from hypothesis import strategies as st

from config import Source, Tag
from drivers.silence import Silence
from gateway.intake.asking import PATIENCE_NS, Asked, Poll

MS = 1_000_000
SOURCE = Source(name="plc", driver="modbus", endpoint="tcp://x", rate_ms=100)
TAGS = [Tag(tag=f"t{n}", source="plc", address="a", type="int16", rate_ms=100 if n < 24 else 1_000) for n in range(30)]
SETS = [frozenset(range(12)), frozenset(range(12, 24)), frozenset(range(6, 18)), frozenset(range(18, 30)), frozenset({3, 25})]


class Alone:
    """What `Asked` is meant to say, tag by tag."""

    def __init__(self) -> None:
        self.asked = [Asked(SOURCE, [tag]) for tag in TAGS]

    def of(self, poll: Poll) -> dict[int, Poll]:
        return {tag: poll._replace(tags=frozenset({0})) for tag in poll.tags}

    def silent(self, poll: Poll) -> dict[int, Silence]:
        return {tag: found[0] for tag, one in self.of(poll).items() if (found := self.asked[tag].silent(one))}

    def answered(self, poll: Poll) -> None:
        for tag, one in self.of(poll).items():
            self.asked[tag].answered(one)

    def overdue(self, now_ns: int, since_ns: int) -> dict[int, Silence]:
        return {tag: found[0] for tag, asked in enumerate(self.asked) if (found := asked.overdue(now_ns, since_ns))}

    def stood_still(self, until_ns: int) -> None:
        for asked in self.asked:
            asked.stood_still(until_ns)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["poll", "poll", "poll", "overdue", "stood"]),
            st.sampled_from(SETS),
            st.sampled_from([100, 150, 250, 2_500, PATIENCE_NS // MS + 1]),
            st.sampled_from([5, 250]),
        ),
        max_size=30,
    )
)
def test_what_is_silent_and_overdue_is_the_same_together_and_alone(steps: list[tuple[str, frozenset[int], int, int]]) -> None:
    together, alone, now = Asked(SOURCE, TAGS), Alone(), 10**12
    for what, tags, pause_ms, answer_ms in steps:
        now += pause_ms * MS
        if what == "poll":
            poll = Poll(tags, frozenset(), now, now + answer_ms * MS)
            assert together.silent(poll) == alone.silent(poll)
            together.answered(poll)
            alone.answered(poll)
        elif what == "overdue":
            assert together.overdue(now, 10**12) == alone.overdue(now, 10**12)
        else:
            together.stood_still(now)
            alone.stood_still(now)
    assert together.overdue(now + 10**11, 10**12) == alone.overdue(now + 10**11, 10**12)
