"""What each step of the verification checks, one subject a file; `consilium_trail.verify` calls them in order."""
