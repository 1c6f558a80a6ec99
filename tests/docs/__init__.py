"""The documentation is run as it stands."""
