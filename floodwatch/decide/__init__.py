"""From findings to decisions: held verdicts, what they mean, and the events that users receive."""
