"""The reports of every capture at hand with a fixed seed, to compare two versions byte for byte.

    python tests/same_reports.py BEFORE      with the old version installed
    python tests/same_reports.py AFTER       with the new one
    diff -r BEFORE AFTER

Captures are those of ``pcaps/`` and of the folders that FLOODWATCH_CAPTURES names.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SEED = bytes(range(16)).hex()
PCAPS = Path(__file__).resolve().parents[1] / "pcaps"


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    roots = [PCAPS, *map(Path, filter(None, [os.environ.get("FLOODWATCH_CAPTURES")]))]
    files = [path for root in roots for path in sorted(root.rglob("*")) if path.is_file()]
    for path in files:
        words = ["scan", "--seed", SEED, "--jobs", "1", "--top", "0", "--format", "json", str(path)]
        run = subprocess.run([sys.executable, "-P", "-m", "floodwatch", *words],
                             capture_output=True, check=False)  # fmt: skip
        name = str(path).strip("/").replace("/", "_")
        (folder / name).write_bytes(run.stdout + run.stderr + f"exit {run.returncode}\n".encode())
    print(f"{len(files)} reports in {folder}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
