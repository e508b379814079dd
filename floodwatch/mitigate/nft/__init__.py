"""The table of nf_tables, over netlink."""
