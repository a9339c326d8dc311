"""Studies: a declared list of experiments that runs, resumes, skips what is done, and becomes one table."""
