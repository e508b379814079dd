"""``python -m oracle REPORT.json [CAPTURE]``: each sentence of a report, and what was counted."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from oracle import inspect


def main() -> int:
    report = json.loads(Path(sys.argv[1]).read_text())
    denied = 0
    for event in report["floods"] + report["crowds"] + report.get("surges", []):
        print(f"\n{event['id']}  {event['verdict']}  {event['first']} - {event['last']}")
        for name, verdict, says in inspect(event, sys.argv[2] if len(sys.argv) > 2 else event["input"]):
            word = {True: "agrees", False: "DENIES", None: "cannot know"}[verdict.agrees]
            denied += verdict.agrees is False
            print(f"  {word:11} {name:20} {says}\n{'':34} counted: {verdict.counted}")
    print(f"\n{denied} denied")
    return min(denied, 1)


if __name__ == "__main__":
    sys.exit(main())
