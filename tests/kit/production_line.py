"""The smallest line in production: a LIMS that drops files, a receiver that is not there yet, and what QA can be asked to accept."""

from pathlib import Path

from kit.drop_line import LIMS, LINE

PRODUCTION = """
environment = "production"
[users]
socket = "people.sock"
"""
UPLINK = """
[[uplink]]
name = "ebr"
kind = "https"
endpoint = "https://ebr.invalid/gateway"
"""
PLC = """
[[source]]
name = "press-plc"
driver = "opcua"
endpoint = "opc.tcp://plc.invalid:4840"
security = { policy = "None" }
"""
"""An old controller that knows no security; nobody answers at this address."""
ACCEPTED = (
    "gap,disposition,reason,accepted_by,accepted_on\n{gap},accepted,the controller is from 2004 and its network is closed,qa,2026-11-20\n"
)


def production_line(folder: Path, more: str = "") -> Path:
    """Write the line folder; more: further sections of its line.toml."""
    (folder / "drop").mkdir(parents=True)
    (folder / "line.toml").write_text(LINE + PRODUCTION + LIMS + UPLINK + more)
    tags = "lab.lod,lims,results.lod,decimal,none\n" + ("press.force,press-plc,ns=2;s=Force,float64,none\n" if "press-plc" in more else "")
    (folder / "tags.csv").write_text(f"tag,source,address,type,criticality\n{tags}")
    (folder / "ebr-fields.csv").write_text("ebr_field\n")
    return folder


def accepts(folder: Path, gap: str) -> None:
    """Write the row that accepts a deviation."""
    (folder / "dispositions.csv").write_text(ACCEPTED.format(gap=gap))
