"""How fast the engine is, beside everybody else's."""
