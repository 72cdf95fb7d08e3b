"""HTTP: one router for each noun."""
