"""The smallest line that makes a batch: an instrument's files tell batch, step and temperature. Played by a running gateway."""

from pathlib import Path

from kit.drop_line import LIMS, LINE
from kit.processes import until

from gateway.operation.control import ask

BATCH = "B2026-0417"
MIXER = """
[[equipment]]
name = "mixer"
batch = { tag = "mix.batch" }
batch_ends = "empty"
settle_ms = 0
settle_s = 0.5
"""
TABLES = {
    "tags.csv": "tag,source,address,type,unit,equipment\nmix.batch,lims,results.batch,string,,mixer\n"
    "mix.step,lims,results.step,int16,,mixer\n"
    "mix.temp,lims,results.temp,decimal,Cel,mixer\n",
    "steps.csv": "step,equipment,level,signal,active\nMIX,mixer,phase,mix.step,10\n",
    "parameters.csv": "parameter,ebr_field,name,equipment,step,tag,statistic,unit,decimals,low,high,limit_source,min_covered,max_window_s\n"
    "t_max,PM-1,Highest temperature,mixer,MIX,mix.temp,max,Cel,1,60,75,map,0.01,60\n"
    "t_mean,PM-2,Mean temperature,mixer,MIX,mix.temp,mean,Cel,2,,,none,0.01,60\n"
    "t_last,PM-3,Last temperature,mixer,MIX,mix.temp,last,Cel,1,,,none,,60\n"
    "time,PM-4,Mixing time,mixer,MIX,,duration,s,3,,,none,0.01,60\n",
}
ROWS = (f"{BATCH},0,20.0", f"{BATCH},10,70.5", f"{BATCH},10,73.25", f"{BATCH},10,71.0", f"{BATCH},0,40.0", ",0,30.0")


def mixing_line(folder: Path, more: str) -> Path:
    """Write the line folder; more: its uplinks."""
    (folder / "drop").mkdir(parents=True)
    (folder / "line.toml").write_text(LINE + LIMS + MIXER + more)
    for name, text in TABLES.items():
        (folder / name).write_text(text)
    return folder


def mixed(folder: Path) -> None:
    """A batch as the instrument writes it: one file for each line, the next when this one is on disk."""
    for number in range(len(ROWS)):
        mixed_row(folder, number)


def mixed_row(folder: Path, number: int, row: str | None = None) -> None:
    """One line of the instrument, as a file of its own; it is on disk when this returns. row: in place of the batch's."""
    before = ask(folder / "data")["sources"][0]["readings"]
    part = folder / "drop" / f".{number}.part"
    part.write_text(f"sample_id,batch,step,temp\nS{number},{ROWS[number] if row is None else row}\n")
    part.rename(folder / "drop" / f"{number}.csv")
    until(lambda: ask(folder / "data")["sources"][0]["readings"] > before)
