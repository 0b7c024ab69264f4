"""The compared subjects: a file per subject, all listed in `listing`."""
