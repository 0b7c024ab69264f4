"""What is compared: one file per subject, all listed in `listing`."""
