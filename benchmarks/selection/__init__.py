"""What a choice of samples is worth: strategies against random choice at equal budgets, on every data set at hand."""
