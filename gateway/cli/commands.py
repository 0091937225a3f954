"""Lists every command: in which group of the help it stands, which module has it, what one line says of it.

A command's module is imported when the command is called, and by nothing else: asking a running gateway must not cost what running one
costs. A new command is a row here, and a function of its name (`release_hold` for `release-hold`) in the module, decorated as its
neighbours are. A row with words of its own (`config diff`) is a click group in the module, which lists them.
"""

from importlib import import_module
from keyword import iskeyword
from typing import NamedTuple

import click


class Row(NamedTuple):
    """One command in the help."""

    name: str
    module: str  # of gateway.cli
    says: str  # one line of a terminal that is 80 columns wide


GROUPS = {
    "Set up a line": (
        Row("new", "line", "Make a line folder to start from"),
        Row("check", "line", "Say every problem of a line folder at once"),
        Row("browse", "sources", "Write tag rows for what a source offers"),
        Row("import", "sources", "Turn another program's export into tag rows"),
        Row("probe", "sources", "Connect to every tag and compare it with the map"),
        Row("certs", "certificates", "Certificates for OPC UA: make, show, trust"),
        Row("config", "configuration", "Versions: propose, approve, activate; diff, inventory"),
        Row("spec", "specification", "Specify every interface, for its other side"),
    ),
    "Run it": (
        Row("run", "line", "Run a line until SIGTERM or Ctrl-C"),
        Row("simulate", "line", "Serve every source of a line by simulated devices"),
        Row("ebr", "line", "Run the reference EBR"),
        Row("demo", "line", "Run a bundled line up to its batch record"),
    ),
    "Ask a gateway that runs": (
        Row("status", "running", "Say how it is; exit 1: something needs attention"),
        Row("ready", "running", "Exit 0 when every source and uplink is connected"),
        Row("top", "running", "Show it live; Ctrl-C leaves"),
        Row("values", "values", "Show the present value of each tag"),
    ),
    "Decide": (
        Row("release-hold", "running", "Let a held batch go"),
        Row("fallback", "fallback", "Records led elsewhere: begin, end, import, drill"),
        Row("alarms", "alarms", "Alarms: list, ack, shelve, unshelve, history"),
        Row("quarantine", "quarantine", "Refused entries: list, show, resend, dispose"),
        Row("replay", "running", "Send a range of confirmed entries once more"),
        Row("retire-uplink", "running", "Let go an uplink that was renamed or removed"),
        Row("new-epoch", "running", "Have the next start begin a new epoch"),
        Row("users", "users", "Who may do what: add, disable, role, list, report"),
        Row("keys", "keys", "The key that signs checkpoints: show, rotate"),
        Row("retire", "retire", "Take a line out of service for good, as a document"),
    ),
    "Read and prove": (
        Row("log", "records", "What happened, line by line; whole entries; CSV"),
        Row("audit", "audit", "The audit trail: list, export, review, reviews"),
        Row("qualify", "qualify", "Qualification: iq, oq, pq, show, sign, dispose, verify"),
        Row("about", "about", "What is installed, and is it what was released"),
        Row("docs", "manual", "The documentation: here, or as a site"),
        Row("document", "documents", "Documents: verify, print, record, sign"),
        Row("time", "clock", "Say how far the times on record can be trusted"),
        Row("verify", "records", "Prove that nothing was changed or removed"),
        Row("trace", "trace", "Show what a value in a record rests on"),
        Row("stamps", "stamps", "Show the clocks of MES, gateway and EBR beside each other"),
        Row("reconcile", "reconcile", "Compare what is stored here with what the EBR holds"),
        Row("compare", "compare", "Compare a batch with the legacy record: explain, trend"),
        Row("observation", "observation", "After go-live: report of a day, summary, end"),
        Row("loopcheck", "loopcheck", "Force a signal, see it at gateway and EBR"),
        Row("recompute", "records", "Decide everything again and compare"),
        Row("archive", "records", "Make an archive of one batch that proves itself"),
        Row("backup", "records", "Copy the journal and verify the copy"),
        Row("restore", "records", "Put a backup in the place of a journal that is gone"),
        Row("review", "periodic_review", "Periodic review of a line, as a document"),
        Row("verification", "qualify", "Verify all that is kept, as a document: run"),
        Row("restore-test", "qualify", "Test a backup: restore it beside, prove, compare"),
        Row("fleet", "fleet", "Several lines and sites: compare, facts"),
        Row("rtm", "traceability", "Requirements, their tests, their results"),
    ),
}
ROWS = {row.name: row for rows in GROUPS.values() for row in rows}


class Commands(click.Group):
    """Every command of the program, in groups. None is imported before it is called."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """Find what was typed; who mistyped it is told the nearest name."""
        try:
            return super().resolve_command(ctx, args)
        except click.exceptions.NoSuchCommand as error:
            raise click.exceptions.NoSuchCommand(error.command_name, possibilities=ROWS, ctx=ctx) from None

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  (click's signature)
        """List the names in the order of the help."""
        return list(ROWS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  (click's signature)
        """Import a command; None if there is none of this name."""
        if (row := ROWS.get(cmd_name)) is None:
            return None
        command = getattr(import_module(f"gateway.cli.{row.module}"), function_of(row.name))
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  (click's signature)
        """Write the groups, one line for each command. Nothing is imported for it."""
        width = max(map(len, ROWS))
        for title, rows in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(f"{row.name:<{width}}", row.says) for row in rows])


def function_of(name: str) -> str:
    """Return the name of a command's function."""
    return f"{name}_" if iskeyword(name) else name.replace("-", "_")
