"""An XDP program that drops ahead of the table what the table blocks."""
