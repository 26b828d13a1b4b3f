"""The hospital's commands: `consilium client`, `consilium study`, `consilium model`."""
