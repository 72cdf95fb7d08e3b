"""What a request to the service costs, beside the least that the same answer could cost."""
