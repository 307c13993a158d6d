"""Reports: which mgrctl is the panel's, how it is called, and the process that sends (DESIGN 8)."""
