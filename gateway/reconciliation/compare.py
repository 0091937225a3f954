"""Compares epochs with the receiver's: pieces of 4,096 entries by count and root, and where these differ, down to the entry."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence

from buffer import Piece, Pieces, Quarantined, StorageError
from buffer.chain import root
from gateway.reconciliation.answer import MOST_SPANS, WIDTHS, Answer, NotAnswered, Question, Span, Stream
from gateway.reconciliation.asking import Ask
from gateway.reconciliation.compared import Compared, runs

COARSE, FINER, ENTRY = WIDTHS
MOST_SEARCHED = 1_000
"""Pieces that are searched down to the entry in one comparison; others that differ are named whole."""
MOST_COPIES = 16


class Comparison:
    """One comparison with one receiver. After the first question without an answer nothing more is asked: the rest is not compared."""

    def __init__(self, pieces: Pieces, ask: Ask, quarantine: Sequence[Quarantined]) -> None:
        self._pieces, self._ask, self._quarantine = pieces, ask, quarantine
        self._held = {(one.epoch, one.seq): one for one in quarantine}
        self._searched = 0
        self.gave_up: str | None = None

    async def of(self, epoch: int, first: int, last: int) -> Compared:
        """Compare entries `first` to `last` of an epoch."""
        made = Compared(epoch, first, last)
        for low, high in _windows(first, last):
            answer = await self._answer(made, Question(epoch, low, high, COARSE))
            for number, piece in enumerate(await asyncio.to_thread(self._cut, epoch, low, high)):
                span = None if answer is None else answer.spans[number]
                made.note(piece, span)
                if answer is not None and span is not None:
                    await self._piece(made, piece, span, answer)
        made.tell_quarantine(self._quarantine)
        return made

    def _cut(self, epoch: int, first: int, last: int) -> list[Piece]:
        return list(self._pieces.cut(epoch, first, last))

    def unknown(self, stream: Stream, *, is_earlier: bool) -> Compared:
        """Name an epoch that this journal does not know. is_earlier: it began before any that it knows, so nothing here speaks of it."""
        made = Compared(stream.epoch, stream.first, stream.last, theirs=stream.entries, our_roots=None, their_roots=None)
        if is_earlier:
            why = "of an epoch before the first of this journal, which knows nothing of it"
            made.not_compared.add(stream.first, stream.last, why, stream.entries)
        else:
            made.extra.add(stream.first, stream.last, "of an epoch that this journal does not know", stream.entries)
        return made

    async def beyond(self, stream: Stream, last: int) -> Compared | None:
        """Name what the receiver holds beyond the end of an epoch, `last`; None if nothing."""
        if stream.last <= last:
            return None
        made = Compared(stream.epoch, last + 1, stream.last)
        asked = _ends(made.first, made.last)
        for low, high in asked:
            answer = await self._answer(made, Question(stream.epoch, low, high, COARSE))
            for span in () if answer is None else answer.spans:
                made.note(Piece(stream.epoch, span.first, span.last, 0, root([]), held=True), span)
                if span.entries:
                    await self._finer(made, {}, Question(stream.epoch, span.first, span.last, FINER))
        if asked[-1][0] > asked[0][1] + 1:
            made.extra.add(asked[0][1] + 1, asked[-1][0] - 1, "not searched: it lies far beyond the end of this epoch", 0)
        if not made.named:
            why = f"its answers contradict each other: it says that it holds entries through {stream.last}, and none of these"
            made.not_compared.add(made.first, made.last, why, 1)
        return made

    async def _answer(self, made: Compared, question: Question) -> Answer | None:
        """Ask; None where there is no answer, which is noted of all that was asked about."""
        if self.gave_up is None:
            try:
                return await self._ask.spans(question)
            except NotAnswered as error:
                self.gave_up = str(error)
        made.not_compared.add(question.first, question.last, f"not answered: {self.gave_up}")
        return None

    async def _piece(self, made: Compared, piece: Piece, span: Span, answer: Answer) -> None:
        if piece.root is None:
            made.not_compared.add(piece.first, piece.last, piece.why)
        elif (piece.entries, piece.root) == (span.entries, span.root):
            if piece.whole:
                made.equal_from.append(piece.first)
        elif piece.held:
            await self._search(made, piece, span, answer)
        else:
            _of_roots(made, piece, span, answer)

    async def _search(self, made: Compared, piece: Piece, span: Span, answer: Answer) -> None:
        """Find the entries by which a piece differs."""
        if self._searched >= MOST_SEARCHED:
            note = f"too much differs, so not searched to the entry: {piece.entries} here, {span.entries} there"
            made.different.add(piece.first, piece.last, note)
            return
        self._searched += 1
        try:
            leaves = await asyncio.to_thread(self._pieces.leaves, piece.epoch, piece.first, piece.last)
        except StorageError as error:
            made.not_compared.add(piece.first, piece.last, f"can not be read here: {error}")
            return
        differed, named, unaccounted = made.differing, made.named, made.rejected.unaccounted
        if span.entries == 0 and _said_of_none(answer, span):
            _none(made, leaves, answer, span)
        else:
            await self._finer(made, leaves, Question(piece.epoch, piece.first, piece.last, FINER))
        if made.named == named:
            note = f"its answers contradict each other: of all of them another count or root ({span.entries}) than of each"
            made.different.add(piece.first, piece.last, note)
        elif piece.whole and (made.differing, made.rejected.unaccounted) == (differed, unaccounted):
            # all of it was refused there, and lies in quarantine here or was dealt with by a person
            made.equal_from.append(piece.first)

    async def _finer(self, made: Compared, leaves: Mapping[int, bytes], question: Question) -> None:
        """Ask for smaller ranges of one piece, and for still smaller ones where these differ."""
        answer = await self._answer(made, question)
        for span in () if answer is None else answer.spans:
            mine = {seq: leaves[seq] for seq in range(span.first, span.last + 1) if seq in leaves}
            if answer is None or (len(mine), root(list(mine.values()))) == (span.entries, span.root):
                continue
            if question.width == ENTRY:
                self._entry(made, span, mine, answer)
            elif span.entries == 0 and _said_of_none(answer, span):
                _none(made, mine, answer, span)
            else:
                await self._finer(made, leaves, Question(question.epoch, span.first, span.last, ENTRY))

    def _entry(self, made: Compared, span: Span, mine: Mapping[int, bytes], answer: Answer) -> None:
        """Say how one entry differs."""
        seq, code = span.first, answer.rejected.get(span.first)
        if span.entries == 0 and code is not None:
            known = self._held.get((made.epoch, seq))
            made.rejected.add(seq, code, None if known is None else known.state)
        elif span.entries == 0:
            _none(made, mine, answer, span)
        elif not mine:
            made.extra.add(seq, seq, "not held here", span.entries)
        elif span.entries > 1:
            same = span.entries <= MOST_COPIES and root([mine[seq]] * span.entries) == span.root
            of = "each the one here" if same else "not all of them the one here"
            made.extra.add(seq, seq, f"{span.entries} entries under this number, {of}", span.entries - 1)
        else:
            made.different.add(seq, seq)


def _said_of_none(answer: Answer, span: Span) -> bool:
    """Return True if a range of which nothing is held needs no finer question: what is said of one of its entries is said of all."""
    refused = any(span.first <= seq <= span.last for seq in answer.rejected) or not answer.all_rejected
    in_part = any(one.first <= span.last and one.last >= span.first for one in answer.absent)
    return not refused and (not in_part or answer.why_absent(span.first, span.last) is not None)


def _none(made: Compared, mine: Mapping[int, bytes], answer: Answer, span: Span) -> None:
    """Name entries of which the receiver holds none: missing, unless it says itself why."""
    why = answer.why_absent(span.first, span.last)
    for first, last in runs(mine):
        if why is None:
            made.missing.add(first, last)
        else:
            made.not_compared.add(first, last, f"not held by the receiver, as it says itself: {why}")


def _of_roots(made: Compared, piece: Piece, span: Span, answer: Answer) -> None:
    """Name a piece of which only the root is left here: which entries of it differ can not be told."""
    refused = sum(piece.first <= seq <= piece.last for seq in answer.rejected)
    in_part = any(one.first <= piece.last and one.last >= piece.first for one in answer.absent)
    if refused or in_part or not answer.all_rejected:
        why = f"pruned here, and the receiver refused {refused} entries of it or never had some: a root can not tell the others"
        made.not_compared.add(piece.first, piece.last, why)
    elif span.entries == 0:
        made.missing.add(piece.first, piece.first + piece.entries - 1)
    else:
        note = f"pruned here, so that only its root could be compared: {piece.entries} entries here, {span.entries} there"
        made.different.add(piece.first, piece.last, note)


def _windows(first: int, last: int) -> Iterator[tuple[int, int]]:
    """Cut a range into what one question may ask for."""
    width = COARSE * MOST_SPANS
    for start in range((first - 1) // COARSE * COARSE + 1, last + 1, width):
        yield max(first, start), min(last, start + width - 1)


def _ends(first: int, last: int) -> list[tuple[int, int]]:
    """Return the first and the last window of a range, of which the receiver alone says how far it goes: it may be any number."""
    begin = next(_windows(first, last))
    end = next(_windows(max(first, (last - 1) // (COARSE * MOST_SPANS) * (COARSE * MOST_SPANS) + 1), last))
    return list(dict.fromkeys((begin, end)))
