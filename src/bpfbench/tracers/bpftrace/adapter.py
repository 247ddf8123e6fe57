# SPDX-License-Identifier: Apache-2.0
"""From the command line to the exit status."""

import sys
from pathlib import Path

from account import account_for
from arguments import UsageError, parse
from report import describe, summary_file
from session import AttachError, SecondSignal, Session, Times


def run(start_ns: int, arguments: list[str]) -> int:
    """Trace, and account for every event. Returns the exit status."""
    times = Times(start_ns)
    try:
        session = Session(times)
        options = parse(arguments)
        Path(options.output).write_bytes(b"")
        with summary_file(options) as file:
            traced = session.run(options)
            account = account_for(options, traced)
            file.write(describe(options, times, traced, account))
    except UsageError as error:
        return complain(error, 2)
    except SecondSignal as second:
        return 128 + int(second.args[0])
    except (AttachError, OSError) as error:
        return complain(error, 1)
    return complain(account.error, 1) if account.error else 0


def complain(message: object, status: int) -> int:
    """One line on stderr."""
    sys.stderr.write(f"tracer: {' '.join(str(message).split())}\n")
    sys.stderr.flush()
    return status
