"""The methods, a file for each family."""
