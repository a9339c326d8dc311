"""The gate over HTTP, and the door's page: the same decisions, for whoever cannot call Python."""
