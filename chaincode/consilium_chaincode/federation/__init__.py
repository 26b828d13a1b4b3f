"""The federation contract: pure transitions, one file per subject, and a thin contract that feeds them from state."""
