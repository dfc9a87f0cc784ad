"""Makes a key: prints it once, and the line of the keys file that accepts it."""

import argparse
import sys
from collections.abc import Sequence

from slipstream_runtime.callers.key_file import make_key
from slipstream_runtime.errors import StartError


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the key to standard output and return the exit code."""
    parser = argparse.ArgumentParser(prog="slipstream key", description="Make a key for a caller.")
    parser.add_argument("name", help="who the caller is; callers of one name share what is cached")
    try:
        key, line = make_key(parser.parse_args(arguments).name)
    except StartError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    sys.stdout.write(
        f"key, shown only here, for the caller:  Authorization: Bearer {key}\nline to add to the keys file:\n{line}\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
