"""What runs in processes of its own: contestants of the claims."""
