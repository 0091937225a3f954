"""Which reader of the clock is asked in which round: the best that answers alone; one that never answered less and less often."""

from gateway.clock.daemon_reading import MOST_ROUNDS, Evidence, Readers, Unreadable


class Named:
    """A reader that is asked by the test."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def read(self) -> Evidence:
        raise Unreadable(self.name)


CHRONY, NTPD, KERNEL = Named("chrony"), Named("ntpd"), Named("kernel")


def asked(readers: Readers, answers: str) -> list[str]:
    """Ask one round, in which the reader of this name answers."""
    names = []
    for reader in readers.round():
        names.append(reader.name)
        if reader.name == answers:
            readers.answered(reader)
            break
        readers.failed(reader, f"{reader.name} is not there")
    return names


def test_daemons_that_never_answer_are_asked_less_and_less_often_and_the_kernel_each_time() -> None:
    readers = Readers([CHRONY, NTPD, KERNEL])
    rounds = [asked(readers, "kernel") for _ in range(4 * MOST_ROUNDS)]

    assert [number for number, names in enumerate(rounds) if "chrony" in names] == [0, 1, 3, 7, 15, 23, 31]
    assert {tuple(names) for names in rounds} == {("kernel",), ("chrony", "ntpd", "kernel")}
    assert readers.unread == "chrony is not there; ntpd is not there"


def test_a_daemon_that_answers_at_last_is_asked_alone_and_in_each_round_also_while_it_is_silent() -> None:
    readers = Readers([CHRONY, NTPD, KERNEL])
    for _ in range(3):
        asked(readers, "kernel")

    assert asked(readers, "ntpd") == ["chrony", "ntpd"]
    assert readers.unread == ""
    assert [asked(readers, "nobody") for _ in range(5)] == [["ntpd"]] * 5
    assert readers.unread == "ntpd is not there"
