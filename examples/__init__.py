"""Jobs to run as they stand, and what shows that they are right."""
