"""The Celery processes: they claim work from the database, run the core, and record what came out."""
