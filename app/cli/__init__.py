"""The command line, ``ot3l``: what a shell needs of the service, the service itself, and a checkpoint put to use.

It starts fast: a command imports what it needs when it runs, since the client with all bodies takes longer than a help
text may. A result goes to standard output, everything that is said on the way to standard error.
"""
