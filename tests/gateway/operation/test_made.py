"""Who asks a port for a page faster than it may be made gets the last one; the socket's is made anew each time."""

from gateway.operation import views


def test_who_asks_faster_than_a_page_may_be_made_gets_the_last_one() -> None:
    now_s = 100.0
    made: list[str] = []

    def make(name: str) -> bytes:
        made.append(name)
        return f"{name} {made.count(name)}".encode()

    port, control = views.Made(views.MADE_PER_S, lambda: now_s), views.Made(None)
    got = [port.of("page", lambda: make("page")) for _ in range(1_000)]
    assert got[:2] == [b"page 1", b"page 2"], "who asks now and then sees what is now"
    assert len(made) == views.MADE_AT_ONCE
    assert set(got[views.MADE_AT_ONCE :]) == {f"page {views.MADE_AT_ONCE}".encode()}
    assert port.of("metrics", lambda: make("metrics")) == b"metrics 1"
    now_s += 10.0
    for _ in range(1_000):
        port.of("page", lambda: make("page"))
    assert made.count("page") == 2 * views.MADE_AT_ONCE
    assert [control.of("page", lambda: make("own")) for _ in range(2)] == [b"own 1", b"own 2"]


def test_what_costs_more_is_made_less_often_and_at_the_socket_anew_each_time() -> None:
    now_s, made = 100.0, 0

    def make() -> bytes:
        nonlocal made
        made += 1
        return str(made).encode()

    slow = views.Made(views.MADE_PER_S, lambda: now_s).slower()
    for _ in range(views.MADE_AT_ONCE):
        slow.of("values", make)
    for second in range(1, 11):
        now_s = 100.0 + second
        for _ in range(50):
            slow.of("values", make)
    assert made == views.MADE_AT_ONCE + 10 * views.VALUES_PER_S
    own = views.Made(None).slower()
    assert [own.of("values", make), own.of("values", make)] == [b"31", b"32"]
