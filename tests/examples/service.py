"""A small service: batches of packets in, events and planned blocks out. Nothing is blocked.

    python tests/examples/service.py [CAPTURE]

A thread reads a capture and hands its batches over, as a tap or a message queue would; the service looks for
floods and plans blocks in a dry run. Give ``Blocker(dry_run=False)`` and root to mean it.
"""

from __future__ import annotations

import queue
import sys
import threading
from pathlib import Path

import floodwatch as fw

LAUNCH_DAY = Path(__file__).parents[2] / "pcaps" / "launch-day.pcap.gz"


def feed(capture: Path, batches: queue.Queue[fw.PacketBatch | None]) -> None:
    """Hand over the batches of a capture, then say that they are all."""
    for batch in fw.read(capture, batch=4096):
        batches.put(batch)
    batches.put(None)


def serve(batches: queue.Queue[fw.PacketBatch | None]) -> int:
    """Look for floods until the batches end; returns how many sources would be blocked."""
    detector = fw.Detector()
    with fw.Blocker(dry_run=True) as blocker:
        planned: set[str] = set()
        while (batch := batches.get()) is not None:
            for event in detector.feed(batch):
                print(f"{event.state}: {event.verdict} {event.vector.value} at {event.victim.ip}")
            for step in blocker.enforce(detector.decisions()):
                if str(step) not in planned and len(planned) < 3:
                    print(f"    would do: {step}")
                planned.add(str(step))
    return len(planned)


def main() -> None:
    """Serve one capture."""
    capture = Path(sys.argv[1]) if len(sys.argv) > 1 else LAUNCH_DAY
    batches: queue.Queue[fw.PacketBatch | None] = queue.Queue(maxsize=4)
    reader = threading.Thread(target=feed, args=(capture, batches))
    reader.start()
    print(f"{serve(batches)} steps planned, none taken")
    reader.join()


if __name__ == "__main__":
    main()
