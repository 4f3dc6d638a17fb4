"""`python -m tests.fuzz.guided TARGET SECONDS FOLDER`: mutations led by coverage (atheris), with notes in FOLDER."""

from __future__ import annotations

import sys

import atheris

from . import harness

OURS = ["sfu", "signalling", "state", "aioice", "jwt"]


def main() -> None:
    """Does not return: libFuzzer ends the process, with a code that is not 0 if something failed."""
    name, seconds, folder = sys.argv[1:]
    with atheris.instrument_imports(include=OURS):
        harness.load(name)
    corpora = [folder, *map(str, harness.folders(name))]  # the first is where libFuzzer writes
    limits = [f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=1024", "-max_len=20000"]
    atheris.Setup(
        [sys.argv[0], *limits, f"-artifact_prefix={folder}/failed-", "-print_final_stats=1", *corpora],
        lambda data: harness.run(name, data),
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main()
