"""Inner loops compiled for the CPU by Numba; each has a twin in ``ot3l_core.ot`` that runs on any device.

Imported only where Numba is installed and the data is in main memory: see ``ot3l_core.ot.native``.
"""
