"""An uplink behind TLS with certificates on both sides."""

import asyncio
import os
import time
from datetime import timedelta

import pytest
from kit.processes import DEADLINE_S, eventually
from kit.uplink_bench import BOTH, Bench, Figures, Hands, Tls

from gateway.uplink import Refused, UplinkError


@pytest.mark.urs("URS-UPL-08")
@BOTH
async def test_mutual_tls_carries_everything(bench: Bench, tls: Tls, kind: str) -> None:
    bench.append(60, size=20_000)
    context = tls.server_context(mutual=True)
    await bench.secure(kind, tls)
    await bench.start_ebr(
        server_tls=context, mqtt=f"mqtts://127.0.0.1:{bench.mqtt}" if kind == "mqtt" else None, client_tls=bench.ebr_tls(tls)
    )
    bench.run(bench.forward(bench.uplink(kind, endpoint=bench.secure_endpoint(kind), **tls.options())))
    await eventually(lambda: bench.delivered(kind))
    assert bench.stored_alike()


@pytest.mark.bar("F38", "S06")
@pytest.mark.urs("URS-UPL-08")
@BOTH
@pytest.mark.parametrize("fault", ["other authority", "other name", "expired", "no client certificate", "foreign client certificate"])
async def test_a_certificate_that_does_not_fit_ends_in_an_alarm_and_never_in_plain_text(
    bench: Bench, tls: Tls, kind: str, fault: str
) -> None:
    bench.append(5)
    foreign = Tls(bench.folder / "foreign")
    options = tls.options()
    if fault == "other authority":
        options = foreign.options()
    elif fault == "other name":
        tls.server = tls.authority.issue("elsewhere", ("ebr.example",))
    elif fault == "expired":
        tls.server = tls.authority.issue("old", ("127.0.0.1",), since=timedelta(days=-9), until=timedelta(days=-1))
    elif fault == "no client certificate":
        options = tls.options(client=False)
    else:
        options["tls"] |= {"cert": str(foreign.client.cert), "key": str(foreign.client.key)}
    await bench.secure(kind, tls)
    if kind == "https":
        await bench.start_ebr(server_tls=tls.server_context(mutual=True))
    forward = bench.forward(bench.uplink(kind, endpoint=bench.secure_endpoint(kind), **options))
    with pytest.raises(UplinkError) as raised:
        async with asyncio.timeout(DEADLINE_S):
            await forward.run()
    if "client" not in fault:  # whoever hangs up on us may be too quick to say why
        assert isinstance(raised.value, Refused)
        assert bench.codes() == {"uplink-certificate"}
    assert ("clock" in str(raised.value)) == (fault == "expired")
    assert bench.journal.cursor(kind) == (0, 0)


@pytest.mark.bar("F38")
@pytest.mark.urs("URS-UPL-08")
async def test_a_rotated_client_certificate_is_taken_without_a_restart(bench: Bench, tls: Tls, figures: Figures) -> None:
    await bench.start_ebr(server_tls=tls.server_context(mutual=True))
    bench.append(5)
    forward = bench.forward(bench.uplink("https", endpoint=bench.secure_endpoint("https"), **tls.options()))
    task = bench.run(forward, again=False)
    await eventually(lambda: bench.delivered("https"))
    fresh = tls.authority.issue("client", until=timedelta(days=20))
    assert fresh.cert == tls.client.cert
    started = time.monotonic()  # as the forwarder itself counts
    bench.append(5)
    await eventually(lambda: "uplink-certificate-ends" in bench.codes())
    bench.append(5)
    await eventually(lambda: bench.delivered("https"))
    assert not task.done()
    assert bench.stored_alike()
    figures(
        "certificates",
        f"client certificate rotated while running: taken within {asyncio.get_running_loop().time() - started:.1f} s, 0 lost",
    )


@pytest.mark.urs("URS-UPL-08")
@pytest.mark.parametrize("ends", ["has ended", "soon"])
async def test_a_remark_on_a_certificate_is_over_when_a_new_one_is_there(bench: Bench, tls: Tls, ends: str) -> None:
    """It was raised before each attempt, and nothing ever cleared it."""
    since, until = (timedelta(days=-9), timedelta(days=-1)) if ends == "has ended" else (timedelta(days=-1), timedelta(days=20))
    tls.client = tls.authority.issue("client", since=since, until=until)
    code = "uplink-certificate" if ends == "has ended" else "uplink-certificate-ends"
    await bench.start_ebr(server_tls=tls.server_context())  # it asks for no certificate, so the connection works
    bench.append(5)
    bench.run(bench.forward(bench.uplink("https", endpoint=bench.secure_endpoint("https"), **tls.options())))
    await eventually(lambda: bench.delivered("https") and code in bench.codes())
    bench.append(5)
    await eventually(lambda: bench.delivered("https"))
    assert f"{code}-over" not in bench.codes(), "receipts come, and it is so all the same"
    tls.authority.issue("client")
    await eventually(lambda: f"{code}-over" in bench.codes())


@pytest.mark.bar("F38")
async def test_a_certificate_that_comes_near_its_end_is_told_under_a_connection_that_stands(bench: Bench, tls: Tls) -> None:
    clock = Hands()
    await bench.start_ebr(server_tls=tls.server_context(mutual=True))
    bench.append(5)
    bench.run(bench.forward(bench.uplink("https", endpoint=bench.secure_endpoint("https"), **tls.options()), clock), again=False)
    await eventually(lambda: bench.delivered("https"))
    assert bench.codes() == set()
    for until, codes in ((20, {"uplink-certificate-ends"}), (90, {"uplink-certificate-ends", "uplink-certificate-ends-over"})):
        stamp_ns = tls.client.cert.stat().st_mtime_ns
        tls.authority.issue("client", until=timedelta(days=until))
        os.utime(tls.client.cert, ns=(stamp_ns, stamp_ns))  # as if days had gone by: nothing is to be read anew
        os.utime(tls.client.key, ns=(stamp_ns, stamp_ns))
        clock.now_s += 3_601
        await eventually(lambda: bench.codes() == codes)  # noqa: B023 - within this turn
