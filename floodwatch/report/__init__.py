"""Reports: the same answer as text for people and as JSON for programs."""
