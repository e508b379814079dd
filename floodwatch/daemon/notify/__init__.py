"""Telling others of floods: one file a receiver, each behind a queue and a thread of its own."""
