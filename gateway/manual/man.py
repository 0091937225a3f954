"""Makes pages for man(1) of the commands' own help: one for the program, and one for each of its commands. mdoc(7) is the form."""

import re
import textwrap
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import click

WIDE = 78
EXITS = (
    ("0", "Done, and all is well."),
    ("1", "Done, and something needs attention, which is said."),
    ("2", "The words, a file or the line folder can not be used, and it is said why and where."),
    ("3", "What was asked for could not be reached, or the gateway does not run."),
)
FILES = (
    ("/etc/ebr-gateway/NAME", "The folder of a line: line.toml and its tables."),
    ("/var/lib/ebr-gateway/NAME", "The journal of a line, where its line.toml says so."),
    ("LINE/credentials", "Passwords and keys that line.toml names, each a file that only its owner may read."),
)


def pages(program: str, group: click.Group, summaries: Mapping[str, Mapping[str, str]], day: datetime) -> dict[str, str]:
    """Return the text of each page by its file's name.

    summaries: title of a group in the help -> command -> one line. day: which the pages say.
    """
    with click.Context(group, info_name=program) as context:
        made = {f"{program}.1": _program(program, group, summaries, day)}
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            if command is not None:
                said = next(its[name] for its in summaries.values() if name in its)
                made[f"{program}-{name}.1"] = "\n".join([*_command(program, name, command, said, day), ""])
    return made


def _program(program: str, group: click.Group, summaries: Mapping[str, Mapping[str, str]], day: datetime) -> str:
    about = (group.help or "").strip().rstrip(".")
    lines = [*_head(program, about[:1].lower() + about[1:], day), ".Sh SYNOPSIS", f".Nm {program}", ".Op Fl -version", ".Op Fl -help"]
    lines += [".Ar command", ".Op Ar arguments", ".Sh DESCRIPTION", *_text(group.help or "")]
    for title, commands in summaries.items():
        lines += [f".Ss {_escaped(title)}", ".Bl -tag -width Ds"]
        for name, said in commands.items():
            lines += [f".It Xr {program}-{name} 1", *_text(f"{said}.")]
        lines.append(".El")
    return "\n".join([*lines, *_tail(program, f"{program}-docs"), ""])


def _command(program: str, name: str, command: click.Command, said: str, day: datetime) -> Iterator[str]:
    yield from _head(f"{program}-{name}", said[:1].lower() + said[1:], day)
    yield ".Sh SYNOPSIS"
    whole = list(_leaves(f"{program} {name}", command))
    for words, leaf in whole:
        yield from _synopsis(words, leaf)
    yield ".Sh DESCRIPTION"
    for words, leaf in whole:
        if len(whole) > 1:
            yield f".Ss {_escaped(words.partition(' ')[2])}"
        yield from _text(leaf.help or said)
        yield from _parameters(leaf)
    yield from _tail(program, program)


def _leaves(words: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    """Yield the commands of a command of several words, or the one that it is."""
    if not isinstance(command, click.Group):
        yield words, command
        return
    with click.Context(command, info_name=words) as context:
        for name in command.list_commands(context):
            if (leaf := command.get_command(context, name)) is not None:
                yield from _leaves(f"{words} {name}", leaf)


def _head(title: str, about: str, day: datetime) -> list[str]:
    dated = f"{day:%B} {day.day}, {day.year}"
    return [f".Dd {dated}", f".Dt {title.upper()} 1", ".Os", ".Sh NAME", f".Nm {title}", f".Nd {_escaped(about)}"]


def _synopsis(words: str, command: click.Command) -> Iterator[str]:
    program, _, rest = words.partition(" ")
    yield f".Nm {program}"
    if rest:
        yield f".Cm {_escaped(rest)}"
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            yield f".{'Fl' if parameter.required else 'Op Fl'} {_flag(parameter)}{_value(parameter, command)}"
    for parameter in command.params:
        if isinstance(parameter, click.Argument):
            dots = " Ns Li ..." if parameter.nargs < 0 else ""
            yield f".{'Ar' if parameter.required else 'Op Ar'} {_escaped(parameter.make_metavar(_context(command)).strip('[].'))}{dots}"


def _context(command: click.Command) -> click.Context:
    return click.Context(command)


def _flag(option: click.Option) -> str:
    return _escaped(max(option.opts, key=len).removeprefix("-"))


def _value(option: click.Option, command: click.Command) -> str:
    if option.is_flag or option.count:
        return ""
    return f" Ar {_escaped(option.make_metavar(_context(command)))}"


def _parameters(command: click.Command) -> Iterator[str]:
    """List arguments and options with their help."""
    told = [*_told(command)]
    if told:
        yield ".Bl -tag -width Ds"
        for head, text in told:
            yield f".It {head}"
            yield from _text(text)
        yield ".El"


def _told(command: click.Command) -> Iterator[tuple[str, str]]:
    for parameter in command.params:
        if isinstance(parameter, click.Option) and not parameter.hidden:
            record = parameter.get_help_record(_context(command))
            short = [f"Fl {_escaped(each.removeprefix('-'))}" for each in sorted(parameter.opts, key=len)]
            heads = [head + _value(parameter, command) if head == short[-1] else head for head in short]
            yield " , ".join(heads), record[1] if record else ""
        elif isinstance(parameter, click.Argument):
            name = parameter.make_metavar(_context(command)).strip("[].")
            yield f"Ar {_escaped(name)}", str(getattr(parameter, "help", "") or "")


def _tail(program: str, other: str) -> Iterator[str]:
    yield from (".Sh FILES", ".Bl -tag -width Ds")
    for name, said in FILES:
        yield from (f".It Pa {name}", *_text(said))
    yield from (".El", ".Sh EXIT STATUS", ".Bl -tag -width Ds")
    for code, said in EXITS:
        yield from (f".It {code}", *_text(said))
    yield from (".El", ".Sh SEE ALSO", f".Xr {other} 1")
    yield ".Pp"
    yield f"The documentation that is installed with the program: {program} docs."


def _text(text: str) -> Iterator[str]:
    """Write paragraphs, each sentence on a line of its own, as mdoc wants it."""
    paragraphs = [" ".join(part.split()) for part in re.split(r"\n\s*\n", text.replace("\b", "").strip())]
    for number, paragraph in enumerate(part for part in paragraphs if part):
        if number:
            yield ".Pp"
        for sentence in re.split(r"(?<=[a-z0-9)`\]][.?!:]) +(?=[A-Z`])", paragraph):
            yield from map(_escaped, textwrap.wrap(sentence, WIDE, break_long_words=False, break_on_hyphens=False))


def _escaped(text: str) -> str:
    """Write a text so that it means itself: backslashes, and what a line may not begin with, or a macro's last word end with."""
    plain = text.replace("\\", "\\e")
    plain += "\\&" if plain.endswith("]") else ""
    return f"\\&{plain}" if plain.startswith((".", "'")) else plain


def write(to: Path, program: str, group: click.Group, summaries: Mapping[str, Mapping[str, str]]) -> int:
    """Write the pages into a folder, which is made if it is missing; return how many. Pages of commands that are no more are removed."""
    day = datetime.fromtimestamp(Path(__file__).stat().st_mtime, UTC)
    made = pages(program, group, summaries, day)
    to.mkdir(parents=True, exist_ok=True)
    for old in to.glob(f"{program}*.1"):
        if old.name not in made:
            old.unlink()
    for name, text in made.items():
        (to / name).write_text(text, "utf-8")
    return len(made)
