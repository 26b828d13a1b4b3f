"""The demo: four hospitals, one study, from one command."""
