"""Reports: how the panel's mgrctl is called, and the process that does it (DESIGN 8)."""
