"""The whole service on one machine, as child processes of one supervisor.

``embedded`` and ``production`` are two lists of parts with the settings that follow from them; ``service`` runs both.
"""
