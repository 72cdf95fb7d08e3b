"""Everybody who takes part: each module one library, each function ``(problem, threads, **settings) -> Run``.

What a function does before it returns (compiling, starting workers) is outside the clock.
"""
