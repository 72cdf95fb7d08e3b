"""What is kept: records in the database, bytes in the blob store. The only SQLAlchemy."""
