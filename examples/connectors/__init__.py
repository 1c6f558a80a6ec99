"""Connectors outside the package, written as anyone would write one."""
