"""floodwatch: find floods in packet captures, with evidence."""

__version__ = "0.1.0"
