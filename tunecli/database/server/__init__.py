"""A study database on a server: its sessions, and the lock of a study's one driver."""
