"""The bodies that travel over the wire."""
