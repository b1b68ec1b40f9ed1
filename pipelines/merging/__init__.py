"""What a merge plans with: its SQL, and the brake."""
