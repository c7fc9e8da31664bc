"""Pictures in, log-odds of every class out."""
