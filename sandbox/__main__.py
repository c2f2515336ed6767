"""`python -m sandbox tableau | snowflake | demo | ui | kills | chaos | bench | reference`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

COMMANDS = {
    "tableau": "serve a sandbox Tableau",
    "snowflake": "serve a sandbox Snowflake",
    "demo": "rotate every credential of a sandbox Tableau on a real local Airflow, and look that it is so",
    "ui": "leave that Airflow and the sandbox up, with a few runs on the page to look at",
    "kills": "kill tasks in the middle of runs, and see that nothing is lost",
    "chaos": "let everything go wrong at once, and see that nothing is lost",
    "bench": "how fast the rotation is, side by side with scripts",
    "reference": "write docs/reference.md out of the code",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Hand the rest of the command line to the command; imports happen only there, for each is heavy in its way."""
    parser = argparse.ArgumentParser(
        prog="python -m sandbox",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n".join(f"  {name:10} {text}" for name, text in COMMANDS.items()),
    )
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="the command's own; --help there lists them")
    options = parser.parse_args(argv)
    if options.command == "tableau":
        from sandbox.tableau import command  # noqa: PLC0415

        return command.main(options.arguments)
    if options.command == "snowflake":
        from sandbox.snowflake import command as snowflake_command  # noqa: PLC0415

        return snowflake_command.main(options.arguments)
    if options.command == "kills":
        from sandbox import kills  # noqa: PLC0415

        return kills.main(options.arguments)
    if options.command == "chaos":
        from sandbox.chaos import command as chaos_command  # noqa: PLC0415

        return chaos_command.main(options.arguments)
    if options.command == "bench":
        from sandbox.bench import command as bench_command  # noqa: PLC0415

        return bench_command.main(options.arguments)
    if options.command == "ui":
        from sandbox import ui  # noqa: PLC0415

        return ui.main(options.arguments)
    if options.command == "reference":
        from sandbox import reference  # noqa: PLC0415

        return reference.main(options.arguments)
    from sandbox import demo  # noqa: PLC0415

    return demo.main(options.arguments)


if __name__ == "__main__":
    sys.exit(main())
