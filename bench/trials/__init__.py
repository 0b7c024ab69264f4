"""What the load program cannot measure: one file per trial, all listed in `listing`."""
