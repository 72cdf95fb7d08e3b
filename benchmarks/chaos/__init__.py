"""Faults by the hundred against a running service, and a judgement of what became of its work."""
