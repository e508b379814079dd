"""What programs use: batches of packets, scan, live watches, detectors, windows of sketches."""
