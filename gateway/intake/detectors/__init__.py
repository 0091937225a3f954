"""Detectors of silent errors, as the tag map sets them (`config.detectors`): findings alone, no value is ever changed (URS-OBS-01). Pure.

Invariants, of every detector here:

- A tag without limits is in none of them, and a list without a tag that has limits costs one look at its layout.
- What was not observed proves nothing: a gap, a clock that was set, a Bad reading and a start end what was known of a tag. A time begins
  anew with the first reading after it, and no value is compared across it. What was told stays told until a value says that it is over.
- No reading is no proof. That a value stood between two readings, or since the last one, says the observation of its tag alone: a poll
  that found it unchanged, a keep-alive of its subscription (`gateway.intake.observation`).
- A reading is told apart from the one before it by the time at which it was made, as far as that is known: where only our question and
  the answer bound it, what is said holds for every instant between the two.
- State is a few numbers for each tag, whatever comes.
- A list by column and the same list reading by reading give the same (tests/gateway/intake/test_detectors_property.py).

Modules: `detectors` (the door's work: who looks at what, words) over one module per question, `standing`, `steps`, `zeros`, `stamps`,
`shares`, over `seen` (a list, as they see it).
"""

from gateway.intake.detectors.detectors import Detectors, Taking

__all__ = ["Detectors", "Taking"]
