"""The service: HTTP in front, records behind, work handed to the queue. It never imports torch."""
